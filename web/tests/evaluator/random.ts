/** Repeatable random tensors for the evaluator's tests. */

import { size, type Tensor } from "../../src/evaluator/tensor.ts";

/** Numbers in [0, 1) from a seed (mulberry32). */
export function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function random(shape: number[], seed: number): Tensor {
  const draw = draws(seed);
  return { shape, data: Float32Array.from({ length: size(shape) }, () => draw() * 4 - 2) };
}

export function tensor(shape: number[], values: number[]): Tensor {
  return { shape, data: Float32Array.from(values) };
}

/** One element by its index. */
export function at({ shape, data }: Tensor, ...index: number[]): number {
  let offset = 0;
  index.forEach((value, axis) => {
    offset = offset * shape[axis]! + value;
  });
  return data[offset]!;
}

/** The largest difference of two tensors; Infinity where their shapes differ. */
export function difference(a: Tensor, b: Tensor): number {
  if (a.shape.join() !== b.shape.join() || a.data.length !== b.data.length) return Infinity;
  let most = 0;
  a.data.forEach((value, index) => {
    const gap = Math.abs(value - b.data[index]!);
    most = Number.isNaN(gap) ? Infinity : Math.max(most, gap);
  });
  return most;
}

/** A tensor whose elements are computed one by one from their index. */
export function built(shape: number[], f: (...index: number[]) => number): Tensor {
  const data = new Float32Array(size(shape));
  const index = shape.map(() => 0);
  for (let offset = 0; offset < data.length; offset++) {
    data[offset] = f(...index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return { shape, data };
}
