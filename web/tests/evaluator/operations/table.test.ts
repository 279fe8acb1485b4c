import { describe, expect, it } from "vitest";
import type { Arguments } from "../../../src/evaluator/arguments.ts";
import { ACTIVATIONS, OPERATIONS } from "../../../src/evaluator/operations/table.ts";
import type { Tensor } from "../../../src/evaluator/tensor.ts";
import { random, tensor } from "../random.ts";

const call = (name: string, args: Arguments): Tensor => OPERATIONS[name]!(args) as Tensor;
const of = (name: string, x: number, args: Arguments = {}): number => ACTIVATIONS[name]!(args)(x);

describe("operations by name", () => {
  it('pads a convolution of padding "same" so that the size stays, the odd row behind', () => {
    const input = tensor([1, 1, 1, 3], [1, 2, 3]);
    const weight = tensor([1, 1, 1, 2], [10, 1]);
    const args = { input, weight, bias: null, stride: [1, 1], dilation: [1, 1], groups: 1 };
    expect([...call("conv2d", { ...args, padding: "same" }).data]).toEqual([12, 23, 30]);
    expect([...call("conv2d", { ...args, padding: "valid" }).data]).toEqual([12, 23]);
  });

  it("knows the activations' own numbers", () => {
    expect([of("relu6", 9), of("hardtanh", -3), of("leaky_relu", -2, { negative_slope: 0.1 })]).toEqual([6, -1, -0.2]);
    expect(of("elu", -1, { alpha: 2 })).toBeCloseTo(2 * (Math.exp(-1) - 1), 12);
    expect(of("selu", 1)).toBeCloseTo(1.0507009873554805, 12);
    expect(of("hardswish", 1)).toBeCloseTo(4 / 6, 12);
    expect(of("mish", 1)).toBeCloseTo(0.8650983883, 9);
    expect(of("log_sigmoid", -800)).toBe(-800);
    expect(of("clamp", 5, { max: 2 })).toBe(2);
    expect([of("relu", Number.NaN), of("clamp", Number.NaN, { min: 0 })]).toEqual([Number.NaN, Number.NaN]);
  });

  it("adds with a factor, and subtracts from a number", () => {
    const self = tensor([2], [1, 2]);
    expect([...call("add", { self, other: self, alpha: 3 }).data]).toEqual([4, 8]);
    expect([...call("sub", { self, other: 0.5 }).data]).toEqual([0.5, 1.5]);
    expect([...call("rsub", { self, other: 10 }).data]).toEqual([9, 8]);
    expect([...call("pow", { self: 2, exponent: self }).data]).toEqual([2, 4]);
  });

  it("keeps a length of an adaptive pool that is not given, and a pool's stride that is left out", () => {
    expect(call("adaptive_avg_pool2d", { self: random([1, 2, 4, 6], 1), output_size: [null, 3] }).shape).toEqual([
      1, 2, 4, 3,
    ]);
    expect(call("max_pool2d", { self: random([1, 2, 4, 6], 1), kernel_size: [2], stride: [] }).shape).toEqual([
      1, 2, 2, 3,
    ]);
  });

  it("gives the parts of a cut, whichever way it was asked for", () => {
    const self = tensor([1, 5], [1, 2, 3, 4, 5]);
    const lengths = (args: Arguments): number[] =>
      (OPERATIONS.slice!({ self, dim: 1, ...args }) as Tensor[]).map((part) => part.shape[1]!);
    expect([lengths({ chunks: 2 }), lengths({ split_size: 2 }), lengths({ split_sizes: [4, 1] })]).toEqual([
      [3, 2],
      [2, 2, 1],
      [4, 1],
    ]);
    expect(OPERATIONS.select!({ self, dim: 1 })).toHaveLength(5);
  });

  it("says which argument is of the wrong kind", () => {
    expect(() => call("relu", { self: "x" })).toThrow('self is "x"; expected a tensor');
    expect(() => call("softmax", { self: random([2], 1) })).toThrow("dim is undefined; expected a number");
  });
});
