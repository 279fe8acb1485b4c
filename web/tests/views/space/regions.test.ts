import { describe, expect, it } from "vitest";
import { inside, pointsInside, rectangle } from "../../../src/views/space/regions.ts";

const all = (): boolean => true;
const horseshoe = [[0, 0], [10, 0], [10, 10], [7, 10], [7, 3], [3, 3], [3, 10], [0, 10]] as const;

describe("regions", () => {
  it("a hollow shape does not hold what lies in its hollow", () => {
    expect(inside(horseshoe, 1, 5)).toBe(true);
    expect(inside(horseshoe, 9, 9)).toBe(true);
    expect(inside(horseshoe, 5, 1)).toBe(true);
    expect(inside(horseshoe, 5, 7)).toBe(false);
    expect(inside(horseshoe, 11, 5)).toBe(false);
  });

  it("a rectangle may be drawn from any corner", () => {
    const positions = Float32Array.of(1, 1, 5, 5, NaN, 2, 1.5, 1.9);
    for (const [a, b] of [[[0, 0], [2, 2]], [[2, 2], [0, 0]], [[2, 0], [0, 2]]] as const) {
      expect(pointsInside(positions, rectangle(a, b), all)).toEqual([0, 3]);
    }
  });

  it("hidden points are not chosen, and a stroke holds nothing", () => {
    const positions = Float32Array.of(1, 1, 2, 2);
    expect(pointsInside(positions, rectangle([0, 0], [3, 3]), (index) => index === 1)).toEqual([1]);
    expect(pointsInside(positions, [[0, 0], [3, 3]], all)).toEqual([]);
  });
});
