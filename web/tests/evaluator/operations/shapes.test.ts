import { describe, expect, it } from "vitest";
import * as shapes from "../../../src/evaluator/operations/shapes.ts";
import { at, built, random, tensor } from "../random.ts";

const six = tensor([2, 3], [1, 2, 3, 4, 5, 6]);

describe("shapes", () => {
  it("reshapes and flattens without moving a number", () => {
    expect(shapes.reshape(six, [3, -1])).toEqual(tensor([3, 2], [1, 2, 3, 4, 5, 6]));
    expect(shapes.flatten(random([1, 2, 3, 4], 1), 1, -1).shape).toEqual([1, 24]);
    expect(shapes.flatten(random([1, 2, 3, 4], 1), 2, -1).shape).toEqual([1, 2, 12]);
    expect(() => shapes.reshape(six, [4, 2])).toThrow("(2, 3) cannot be reshaped to (4, 2)");
  });

  it("permutes and transposes", () => {
    expect(shapes.transpose(six, 0, 1)).toEqual(tensor([3, 2], [1, 4, 2, 5, 3, 6]));
    const input = random([2, 3, 4], 1);
    expect(shapes.permute(input, [2, 0, -2])).toEqual(built([4, 2, 3], (a, b, c) => at(input, b!, c!, a!)));
  });

  it("adds and drops axes of length 1", () => {
    expect(shapes.squeeze(random([1, 2, 1], 1), null).shape).toEqual([2]);
    expect(shapes.squeeze(random([1, 2, 1], 1), [-1, 1]).shape).toEqual([1, 2]);
    expect(shapes.unsqueeze(six, -1).shape).toEqual([2, 3, 1]);
  });

  it("expands axes of length 1, and new ones in front", () => {
    expect(shapes.expand(tensor([2, 1], [1, 2]), [2, 2, 3])).toEqual(
      tensor([2, 2, 3], [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]),
    );
    expect(shapes.expand(tensor([1, 2], [1, 2]), [3, -1]).shape).toEqual([3, 2]);
    expect(() => shapes.expand(six, [5, 3])).toThrow("2 cannot be expanded to 5");
  });

  it("cuts: slice, select, unbind, split, chunk", () => {
    expect(shapes.slice(six, 1, 1, 2 ** 31, 1)).toEqual(tensor([2, 2], [2, 3, 5, 6]));
    expect(shapes.slice(six, 1, -3, -1, 1)).toEqual(tensor([2, 2], [1, 2, 4, 5]));
    expect(shapes.slice(six, 1, 0, 3, 2)).toEqual(tensor([2, 2], [1, 3, 4, 6]));
    expect(shapes.select(six, 1, -1)).toEqual(tensor([2], [3, 6]));
    expect(shapes.unbind(six, 0)).toEqual([tensor([3], [1, 2, 3]), tensor([3], [4, 5, 6])]);
    expect(shapes.chunk(six, 2, 1).map((part) => part.shape)).toEqual([
      [2, 2],
      [2, 1],
    ]);
    expect(shapes.split(six, [1, 2], 1)[1]).toEqual(tensor([2, 2], [2, 3, 5, 6]));
  });

  it("joins: what was cut comes together again", () => {
    expect(shapes.cat(shapes.unbind(shapes.unsqueeze(six, 1), 0), 0)).toEqual(six);
    expect(shapes.cat(shapes.chunk(six, 2, 1), 1)).toEqual(six);
    expect(shapes.stack(shapes.unbind(six, 1), 1)).toEqual(six);
  });

  it("pads, last axis first", () => {
    expect(shapes.pad(tensor([1, 2], [1, 2]), [1, 0, 0, 1], 9)).toEqual(tensor([2, 3], [9, 1, 2, 9, 9, 9]));
    expect(() => shapes.pad(six, [-1, 0], 0)).toThrow("negative");
  });
});
