/** Normalisations, softmax and sums along axes. */

import { around, axisOf, strides, offsets, size, type Tensor } from "../tensor.ts";

/** (x - mean) / sqrt(variance + epsilon) * weight + bias per channel, with the statistics of the training. */
export function batchNorm(
  input: Tensor,
  mean: Tensor,
  variance: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  epsilon: number,
): Tensor {
  const { outer, length, inner } = around(input.shape, 1);
  const data = new Float32Array(input.data.length);
  for (let channel = 0; channel < length; channel++) {
    const scale = (weight === null ? 1 : weight.data[channel]!) / Math.sqrt(variance.data[channel]! + epsilon);
    const shift = (bias === null ? 0 : bias.data[channel]!) - mean.data[channel]! * scale;
    for (let n = 0; n < outer; n++) {
      const start = (n * length + channel) * inner;
      for (let at = start; at < start + inner; at++) data[at] = input.data[at]! * scale + shift;
    }
  }
  return { shape: input.shape, data };
}

/** Mean and variance (divided by the count) of a run of numbers, in two passes. */
export function moments(source: Float32Array, start: number, count: number): { mean: number; variance: number } {
  let total = 0;
  for (let at = start; at < start + count; at++) total += source[at]!;
  const mean = total / count;
  let squares = 0;
  for (let at = start; at < start + count; at++) squares += (source[at]! - mean) ** 2;
  return { mean, variance: squares / count };
}

/** Over the last `axes` axes; weight and bias have their shape. */
export function layerNorm(
  input: Tensor,
  axes: number,
  weight: Tensor | null,
  bias: Tensor | null,
  epsilon: number,
): Tensor {
  const count = size(input.shape.slice(input.shape.length - axes));
  const data = new Float32Array(input.data.length);
  for (let start = 0; start < data.length; start += count) {
    const { mean, variance } = moments(input.data, start, count);
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let at = 0; at < count; at++) {
      const value = (input.data[start + at]! - mean) * scale;
      data[start + at] = value * (weight === null ? 1 : weight.data[at]!) + (bias === null ? 0 : bias.data[at]!);
    }
  }
  return { shape: input.shape, data };
}

/** Wu and He (2018): each group of channels of each image by itself; as many groups as channels: instance norm. */
export function groupNorm(
  input: Tensor,
  groups: number,
  weight: Tensor | null,
  bias: Tensor | null,
  epsilon: number,
): Tensor {
  const [batch, channels] = input.shape as [number, number];
  const inner = size(input.shape.slice(2));
  const perGroup = channels / groups;
  const data = new Float32Array(input.data.length);
  for (let group = 0; group < batch * groups; group++) {
    const start = group * perGroup * inner;
    const { mean, variance } = moments(input.data, start, perGroup * inner);
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let at = 0; at < perGroup * inner; at++) {
      const channel = (group % groups) * perGroup + Math.floor(at / inner);
      const value = (input.data[start + at]! - mean) * scale;
      data[start + at] =
        value * (weight === null ? 1 : weight.data[channel]!) + (bias === null ? 0 : bias.data[channel]!);
    }
  }
  return { shape: input.shape, data };
}

/** exp(x) / sum exp(x) along an axis, or its logarithm. */
export function softmax(input: Tensor, axis: number, logarithm = false): Tensor {
  const { outer, length, inner } = around(input.shape, axisOf(axis, input.shape.length));
  const data = new Float32Array(input.data.length);
  for (let block = 0; block < outer; block++) {
    for (let lane = 0; lane < inner; lane++) {
      const start = block * length * inner + lane;
      let most = -Infinity;
      for (let at = 0; at < length; at++) most = Math.max(most, input.data[start + at * inner]!);
      let total = 0;
      for (let at = 0; at < length; at++) total += Math.exp(input.data[start + at * inner]! - most);
      for (let at = 0; at < length; at++) {
        const score = input.data[start + at * inner]! - most;
        data[start + at * inner] = logarithm ? score - Math.log(total) : Math.exp(score) / total;
      }
    }
  }
  return { shape: input.shape, data };
}

export type Reduction = "mean" | "sum" | "amax";

/** The mean, sum or largest over some axes (all of them where none is named). */
export function reduce(input: Tensor, axes: readonly number[], keep: boolean, how: Reduction): Tensor {
  const dimensions = input.shape.length;
  const over = new Set(
    (axes.length === 0 ? input.shape.map((_, axis) => axis) : axes).map((axis) => axisOf(axis, dimensions)),
  );
  const steps = strides(input.shape);
  const kept = input.shape.map((_, axis) => axis).filter((axis) => !over.has(axis));
  const gone = [...over].sort((a, b) => a - b);
  const starts = offsets(
    kept.map((axis) => input.shape[axis]!),
    kept.map((axis) => steps[axis]!),
  );
  const inner = offsets(
    gone.map((axis) => input.shape[axis]!),
    gone.map((axis) => steps[axis]!),
  );
  const data = new Float32Array(starts.length);
  for (let index = 0; index < starts.length; index++) data[index] = reduced(input.data, starts[index]!, inner, how);
  const shape = keep
    ? input.shape.map((length, axis) => (over.has(axis) ? 1 : length))
    : kept.map((axis) => input.shape[axis]!);
  return { shape, data };
}

function reduced(source: Float32Array, start: number, inner: Int32Array, how: Reduction): number {
  let sum = how === "amax" ? -Infinity : 0;
  for (const offset of inner) {
    const value = source[start + offset]!;
    sum = how === "amax" ? Math.max(sum, value) : sum + value;
  }
  return how === "mean" ? sum / inner.length : sum;
}
