import { describe, expect, it } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import { type Compared, kindOf, sorted } from "../../../src/views/compare/answers.ts";

// truth 0; a and b:            right/wrong, wrong/right, same wrong, other wrong, both right, both right
const found = {
  ids: ["r", "w", "s", "o", "x", "y"],
  labels: array(new Int32Array(6)),
  answers_a: array(Int32Array.of(0, 1, 1, 1, 0, 0)),
  answers_b: array(Int32Array.of(1, 0, 1, 2, 0, 0)),
  distance: array(Float32Array.of(0.3, 0.9, 0.1, 0.5, 0.05, 0.2)),
} as Compared;

describe("images in the order of what differs", () => {
  it("are told apart by what became of them", () => {
    expect(found.ids.map((_, index) => kindOf(found, index))).toEqual(["only_a", "only_b", "both_wrong", "differ", "both_right", "both_right"]);
  });

  it("other answers come first, then probabilities that lie far apart", () => {
    const { order, counts } = sorted(found, "all");
    expect(order.map((index) => found.ids[index])).toEqual(["w", "o", "r", "y", "s", "x"]);
    expect(counts).toEqual({ only_a: 1, only_b: 1, differ: 1, both_wrong: 1, both_right: 2 });
  });

  it("one kind alone keeps the order, and the counts of all", () => {
    const { order, counts } = sorted(found, "both_right");
    expect(order).toEqual([5, 4]);
    expect(counts.only_a).toBe(1);
  });
});
