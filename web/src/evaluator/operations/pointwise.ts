/** Operations that treat every number by itself: activations, and arithmetic of two tensors that broadcast. */

import { broadcastShape, broadcastStrides, offsets, type Tensor } from "../tensor.ts";

export type Scalar = (value: number) => number;

export function map(input: Tensor, f: Scalar): Tensor {
  const data = new Float32Array(input.data.length);
  for (let index = 0; index < data.length; index++) data[index] = f(input.data[index]!);
  return { shape: input.shape, data };
}

/** `f` of the elements of two tensors, whose shapes broadcast. */
export function combine(a: Tensor, b: Tensor, f: (left: number, right: number) => number): Tensor {
  const shape = broadcastShape(a.shape, b.shape);
  const left = offsets(shape, broadcastStrides(a.shape, shape));
  const right = offsets(shape, broadcastStrides(b.shape, shape));
  const data = new Float32Array(left.length);
  for (let index = 0; index < data.length; index++) data[index] = f(a.data[left[index]!]!, b.data[right[index]!]!);
  return { shape, data };
}

export function clip(value: number, low: number, high: number): number {
  // NaN is neither below nor above: it passes through, as in PyTorch
  return value < low ? low : value > high ? high : value;
}

export function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

export function softplus(value: number, beta: number, threshold: number): number {
  return value * beta > threshold ? value : Math.log1p(Math.exp(value * beta)) / beta;
}

/** The error function by its series of positive terms (Abramowitz and Stegun, 7.1.6): float64 accuracy. */
export function erf(value: number): number {
  const x = Math.abs(value);
  if (!(x < 6)) return Number.isNaN(value) ? value : Math.sign(value); // 1 - erf(6) is 2e-17
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return Math.sign(value) * ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum);
}

/** x Phi(x), Phi being the normal distribution; `tanh` is the approximation of Hendrycks and Gimpel (2016). */
export function gelu(value: number, approximate: string): number {
  if (approximate === "tanh") {
    return 0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)));
  }
  return 0.5 * value * (1 + erf(value / Math.SQRT2));
}

export function hardsigmoid(value: number): number {
  return clip(value / 6 + 0.5, 0, 1);
}
