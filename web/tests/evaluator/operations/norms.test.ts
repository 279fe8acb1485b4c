import { describe, expect, it } from "vitest";
import { batchNorm, groupNorm, layerNorm, reduce, softmax } from "../../../src/evaluator/operations/norms.ts";
import { at, built, difference, random, tensor } from "../random.ts";

const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
const spread = (values: ArrayLike<number>): number => mean(Array.from(values, (value) => (value - mean(values)) ** 2));

describe("norms", () => {
  it("batch norm takes the training's statistics, per channel", () => {
    const input = tensor([1, 2, 1, 2], [1, 2, 3, 4]);
    const found = batchNorm(
      input,
      tensor([2], [1, 0]),
      tensor([2], [4, 1]),
      tensor([2], [2, 1]),
      tensor([2], [0, 7]),
      0,
    );
    expect([...found.data]).toEqual([0, 1, 10, 11]);
    expect(batchNorm(random([2, 3], 1), random([3], 2), tensor([3], [1, 1, 1]), null, null, 1e-5).shape).toEqual([
      2, 3,
    ]);
  });

  it("layer norm: mean 0, variance 1 over the last axes, then weight and bias", () => {
    const found = layerNorm(random([2, 3, 4], 1), 2, null, null, 0);
    for (const start of [0, 12]) {
      expect(mean(found.data.subarray(start, start + 12))).toBeCloseTo(0, 6);
      expect(spread(found.data.subarray(start, start + 12))).toBeCloseTo(1, 5);
    }
    expect([...layerNorm(tensor([1, 2], [1, 3]), 1, tensor([2], [2, 10]), tensor([2], [5, 0]), 0).data]).toEqual([
      3, 10,
    ]);
  });

  it("group norm: each group of channels of each image by itself", () => {
    const found = groupNorm(random([2, 4, 3, 3], 1), 2, null, null, 0);
    for (let group = 0; group < 4; group++)
      expect(mean(found.data.subarray(group * 18, group * 18 + 18))).toBeCloseTo(0, 6);
    const weighted = groupNorm(tensor([1, 2, 2], [1, 3, 5, 7]), 2, tensor([2], [1, 2]), tensor([2], [0, 1]), 0);
    expect([...weighted.data]).toEqual([-1, 1, -1, 3]);
  });

  it("softmax sums to 1 along its axis, also for large scores", () => {
    const found = softmax(tensor([2, 2], [1000, 0, 1000, Math.log(3)]), 1);
    expect([...found.data]).toEqual([1, 0, 1, 0]);
    const columns = softmax(random([2, 3, 4], 1), -2);
    for (const [n, lane] of [
      [0, 0],
      [1, 3],
    ] as const) {
      expect(at(columns, n, 0, lane) + at(columns, n, 1, lane) + at(columns, n, 2, lane)).toBeCloseTo(1, 6);
    }
    const both = tensor([3], [1, 2, 3]);
    softmax(both, 0, true).data.forEach((value, index) =>
      expect(value).toBeCloseTo(Math.log(softmax(both, 0).data[index]!), 6),
    );
  });

  it("reduces over the axes that were named", () => {
    const input = random([2, 3, 4], 1);
    const slow = built([3], (c) => mean([0, 1].flatMap((n) => [0, 1, 2, 3].map((x) => at(input, n, c!, x)))));
    expect(difference(reduce(input, [0, 2], false, "mean"), slow)).toBeLessThan(1e-6);
    expect(reduce(input, [-1], true, "sum").shape).toEqual([2, 3, 1]);
    expect(reduce(input, [], false, "amax")).toEqual(tensor([], [Math.max(...input.data)]));
  });
});
