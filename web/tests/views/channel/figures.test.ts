import { describe, expect, it } from "vitest";
import { array, type NdArray } from "../../../src/protocol/wire.ts";
import { bars, frame, largestMeans, line, stepped } from "../../../src/views/channel/figures.ts";

const ints = (values: number[], shape?: number[]) => array(Int32Array.from(values), shape) as NdArray<Int32Array>;

describe("the histogram", () => {
  it("has a bar per bin, as tall as the root of its count", () => {
    const found = bars(ints([4, 0, 16]), -1, 2, 30, 40);
    expect(found.map((bar) => bar.height)).toEqual([20, 0, 40]);
    expect(found.map((bar) => bar.x)).toEqual([0, 10, 20]);
    expect(found.map((bar) => [bar.from, bar.to])).toEqual([[-1, 0], [0, 1], [1, 2]]);
  });

  it("of nothing is flat", () => {
    expect(bars(ints([0, 0]), 0, 1, 10, 10).every((bar) => bar.height === 0)).toBe(true);
  });
});

it("the largest means come first, and classes without images are left out", () => {
  expect(largestMeans([1, NaN, 4, 4], 2)).toEqual([{ index: 2, mean: 4, share: 1 }, { index: 3, mean: 4, share: 1 }]);
  expect(largestMeans([0, 0], 5).map(({ share }) => share)).toEqual([0, 0]);
});

it("a field beyond the border is cut at it", () => {
  expect(frame(ints([0, 0, 1, 1, -4, 10, 14, 40], [2, 4]), 1, 28, 20)).toEqual({ left: 50, top: 0, width: 50, height: 50 });
});

it("a line and what it is compared with share one scale with zero in it", () => {
  const { path, levels } = line([0, 2, 4], [2, -4], 100, 20);
  expect(path).toBe("M0.0 10.0L50.0 6.0L100.0 2.0");
  expect(levels).toEqual([6, 18]);
  expect(line([], [], 100, 20).path).toBe("");
});

it("channels go around", () => {
  expect([stepped(0, -1, 64), stepped(63, 1, 64), stepped(5, 1, 64), stepped(0, 1, 1)]).toEqual([63, 0, 6, 0]);
});
