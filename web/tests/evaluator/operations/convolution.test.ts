import { describe, expect, it } from "vitest";
import { conv2d, type Pair, type Window } from "../../../src/evaluator/operations/convolution.ts";
import type { Tensor } from "../../../src/evaluator/tensor.ts";
import { at, built, difference, random, tensor } from "../random.ts";

const plain: Window = { stride: [1, 1], padding: [0, 0], dilation: [1, 1] };

/** The definition, tap by tap, with a test for the border at each. */
function slowly(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  { stride, padding, dilation }: Window,
  groups: number,
): Tensor {
  const [n, c, h, w] = input.shape as [number, number, number, number];
  const [o, per, kh, kw] = weight.shape as [number, number, number, number];
  const length = (size: number, kernel: number, axis: 0 | 1): number =>
    Math.floor((size + 2 * padding[axis] - dilation[axis] * (kernel - 1) - 1) / stride[axis]) + 1;
  expect(per * groups).toBe(c);
  return built([n, o, length(h, kh, 0), length(w, kw, 1)], (image, output, y, x) => {
    let sum = bias === null ? 0 : bias.data[output!]!;
    const group = Math.floor(output! / (o / groups));
    for (let i = 0; i < per; i++) {
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          const row = y! * stride[0] + ky * dilation[0] - padding[0];
          const column = x! * stride[1] + kx * dilation[1] - padding[1];
          if (row < 0 || row >= h || column < 0 || column >= w) continue;
          sum += at(weight, output!, i, ky, kx) * at(input, image!, group * per + i, row, column);
        }
      }
    }
    return sum;
  });
}

describe("conv2d", () => {
  it("multiplies and adds as worked out by hand", () => {
    const input = tensor([1, 1, 3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const weight = tensor([1, 1, 2, 2], [1, 0, 0, -1]);
    const found = conv2d(input, weight, tensor([1], [10]), plain, 1);
    expect(found.shape).toEqual([1, 1, 2, 2]);
    expect([...found.data]).toEqual([6, 6, 6, 6]); // 1 - 5 + 10, 2 - 6 + 10, ...
  });

  const cases: [string, number[], number[], Pair, Pair, Pair, number][] = [
    ["no padding", [1, 2, 7, 6], [3, 2, 3, 3], [1, 1], [0, 0], [1, 1], 1],
    ["padding", [1, 2, 7, 6], [3, 2, 3, 3], [1, 1], [1, 1], [1, 1], 1],
    ["wide padding, small input", [1, 1, 2, 2], [2, 1, 5, 5], [1, 1], [4, 3], [1, 1], 1],
    ["stride", [2, 3, 9, 8], [4, 3, 3, 2], [2, 3], [1, 0], [1, 1], 1],
    ["stride wider than the kernel", [1, 1, 9, 9], [1, 1, 1, 1], [4, 4], [0, 0], [1, 1], 1],
    ["dilation", [1, 2, 9, 9], [2, 2, 3, 3], [1, 1], [2, 2], [2, 3], 1],
    ["groups", [1, 6, 5, 5], [4, 3, 3, 3], [1, 1], [1, 1], [1, 1], 2],
    ["depthwise with a multiplier", [1, 3, 6, 6], [6, 1, 3, 3], [2, 2], [1, 1], [1, 1], 3],
    ["everything", [2, 4, 11, 10], [8, 2, 3, 5], [2, 1], [3, 2], [2, 2], 2],
  ];
  it.each(cases)("equals the slow loops: %s", (_, shape, kernel, stride, padding, dilation, groups) => {
    const [input, weight, bias] = [random(shape, 1), random(kernel, 2), random([kernel[0]!], 3)];
    const window = { stride, padding, dilation };
    expect(
      difference(conv2d(input, weight, bias, window, groups), slowly(input, weight, bias, window, groups)),
    ).toBeLessThan(1e-5);
    expect(
      difference(conv2d(input, weight, null, window, groups), slowly(input, weight, null, window, groups)),
    ).toBeLessThan(1e-5);
  });

  it("the comparison would see a shifted border", () => {
    const [input, weight] = [random([1, 2, 7, 6], 1), random([3, 2, 3, 3], 2)];
    const shifted = { ...plain, padding: [1, 1] as Pair };
    expect(
      difference(
        conv2d(input, weight, null, { ...plain, padding: [1, 2] }, 1),
        slowly(input, weight, null, shifted, 1),
      ),
    ).toBe(Infinity);
    const dilated = { ...shifted, dilation: [2, 2] as Pair, padding: [2, 2] as Pair };
    expect(
      difference(conv2d(input, weight, null, dilated, 1), slowly(input, weight, null, shifted, 1)),
    ).toBeGreaterThan(0.1);
  });

  it("says which channels do not fit", () => {
    expect(() => conv2d(random([1, 2, 5, 5], 1), random([3, 4, 3, 3], 2), null, plain, 1)).toThrow(
      "2 channels came in, the weights expect 4",
    );
  });
});
