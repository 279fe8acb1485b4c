import { describe, expect, it } from "vitest";
import type { Pair } from "../../../src/evaluator/operations/convolution.ts";
import {
  adaptiveMaxPool2d,
  adaptiveSpans,
  averageSpans,
  averageSpansPool,
  type Divisor,
  maxPool2d,
  pooledLength,
  type PoolWindow,
} from "../../../src/evaluator/operations/pools.ts";
import { random, tensor } from "../random.ts";

const half: PoolWindow = { kernel: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1], ceil: false };
const three: PoolWindow = { ...half, kernel: [3, 3], padding: [1, 1] };
const count = (countPadding: boolean): Divisor => ({ countPadding, override: null });
const sixteen = tensor(
  [1, 1, 4, 4],
  Array.from({ length: 16 }, (_, index) => index),
);

function average(input = sixteen, window: PoolWindow = half, divisor: Divisor = count(true)): number[] {
  const [height, width] = input.shape.slice(2) as [number, number];
  return [...averageSpansPool(input, averageSpans(height, window, 0), averageSpans(width, window, 1), divisor).data];
}

describe("pools", () => {
  it("takes the largest and the mean of each window", () => {
    expect([...maxPool2d(sixteen, half).data]).toEqual([5, 7, 13, 15]);
    expect(average()).toEqual([2.5, 4.5, 10.5, 12.5]);
  });

  it("leaves padding out of the largest, also of negative numbers", () => {
    const negative = tensor([1, 1, 2, 2], [-4, -3, -2, -1]);
    expect([...maxPool2d(negative, { ...three, stride: [1, 1] }).data]).toEqual([-1, -1, -1, -1]);
  });

  it("counts padding in a mean, or not, or divides by a given number", () => {
    const ones = tensor([1, 1, 2, 2], [1, 1, 1, 1]);
    const window = { ...three, stride: [2, 2] as Pair };
    expect(average(ones, window)[0]).toBeCloseTo(4 / 9);
    expect(average(ones, window, count(false))[0]).toBe(1);
    expect(average(ones, window, { countPadding: true, override: 2 })[0]).toBe(2);
  });

  it("a hanging last window starts inside the input, and counts only what padding covers", () => {
    const hanging = { ...half, ceil: true };
    expect(pooledLength(5, hanging, 0)).toBe(3);
    expect(pooledLength(5, half, 0)).toBe(2);
    expect(pooledLength(3, { ...half, stride: [3, 3], ceil: true }, 0)).toBe(1); // a second one would start at 3
    expect(average(tensor([1, 1, 1, 3], [1, 2, 4]), { ...hanging, kernel: [1, 2], stride: [1, 2] })).toEqual([1.5, 4]);
  });

  it("dilates a maximum", () => {
    const found = maxPool2d(sixteen, { ...half, dilation: [2, 2], stride: [1, 1] });
    expect(found.shape).toEqual([1, 1, 2, 2]);
    expect([...found.data]).toEqual([10, 11, 14, 15]);
  });

  it("lets adaptive windows overlap where the lengths do not divide", () => {
    expect(adaptiveSpans(5, 3)).toEqual([
      { start: 0, end: 2, extent: 2 },
      { start: 1, end: 4, extent: 3 },
      { start: 3, end: 5, extent: 2 },
    ]);
    const row = tensor([1, 1, 1, 5], [1, 2, 3, 4, 9]);
    expect([...averageSpansPool(row, adaptiveSpans(1, 1), adaptiveSpans(5, 3), count(true)).data]).toEqual([
      1.5, 3, 6.5,
    ]);
    expect([...adaptiveMaxPool2d(row, [1, 3]).data]).toEqual([2, 4, 9]);
  });

  it("treats channels and images apart", () => {
    const input = random([2, 3, 4, 4], 5);
    const found = maxPool2d(input, { ...half, kernel: [4, 4], stride: [4, 4] });
    expect(found.shape).toEqual([2, 3, 1, 1]);
    found.data.forEach((value, plane) =>
      expect(value).toBe(Math.max(...input.data.subarray(plane * 16, plane * 16 + 16))),
    );
  });
});
