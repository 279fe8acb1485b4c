/** Pooling of (n, c, h, w): the largest or the mean of each window. */

import type { Tensor } from "../tensor.ts";
import type { Pair, Window } from "./convolution.ts";

export interface PoolWindow extends Window {
  readonly kernel: Pair;
  readonly ceil: boolean;
}

/** What an average divides by: all taps, only those inside the input, or a number of one's own. */
export interface Divisor {
  readonly countPadding: boolean;
  readonly override: number | null;
}

/** Windows along one axis: [first input, end of input) and the padded extent that an average counts. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly extent: number;
}

/** Outputs along one axis; with `ceil` a last window may hang over the end, but it starts inside. */
export function pooledLength(length: number, window: PoolWindow, axis: 0 | 1): number {
  const [kernel, stride, padding] = [window.kernel[axis], window.stride[axis], window.padding[axis]];
  const room = length + 2 * padding - window.dilation[axis] * (kernel - 1) - 1;
  const outputs = (window.ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  return window.ceil && (outputs - 1) * stride >= length + padding ? outputs - 1 : outputs;
}

export function maxPool2d(input: Tensor, window: PoolWindow): Tensor {
  const [batch, channels, height, width] = input.shape as [number, number, number, number];
  const [rows, columns] = [pooledLength(height, window, 0), pooledLength(width, window, 1)];
  const data = new Float32Array(batch * channels * rows * columns);
  let at = 0;
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++)
        data[at++] = largest(input.data, plane * height * width, [height, width], window, y, x);
    }
  }
  return { shape: [batch, channels, rows, columns], data };
}

function largest(source: Float32Array, plane: number, size: Pair, window: PoolWindow, y: number, x: number): number {
  let most = -Infinity;
  for (let ky = 0; ky < window.kernel[0]; ky++) {
    const row = y * window.stride[0] - window.padding[0] + ky * window.dilation[0];
    if (row < 0 || row >= size[0]) continue;
    for (let kx = 0; kx < window.kernel[1]; kx++) {
      const column = x * window.stride[1] - window.padding[1] + kx * window.dilation[1];
      if (column < 0 || column >= size[1]) continue;
      const value = source[plane + row * size[1] + column]!;
      if (value > most || Number.isNaN(value)) most = value;
    }
  }
  return most;
}

/** The windows of an average pool along one axis. */
export function averageSpans(length: number, window: PoolWindow, axis: 0 | 1): Span[] {
  const [kernel, stride, padding] = [window.kernel[axis], window.stride[axis], window.padding[axis]];
  return Array.from({ length: pooledLength(length, window, axis) }, (_, index) => {
    const from = index * stride - padding;
    const to = Math.min(from + kernel, length + padding);
    return { start: Math.max(0, from), end: Math.min(to, length), extent: to - from };
  });
}

/** The windows of an adaptive pool: floor(i length / outputs) to ceil((i + 1) length / outputs). */
export function adaptiveSpans(length: number, outputs: number): Span[] {
  return Array.from({ length: outputs }, (_, index) => {
    const start = Math.floor((index * length) / outputs);
    const end = Math.ceil(((index + 1) * length) / outputs);
    return { start, end, extent: end - start };
  });
}

export function averageSpansPool(
  input: Tensor,
  down: readonly Span[],
  across: readonly Span[],
  divisor: Divisor,
): Tensor {
  const [batch, channels, height, width] = input.shape as [number, number, number, number];
  const data = new Float32Array(batch * channels * down.length * across.length);
  let at = 0;
  for (let plane = 0; plane < batch * channels; plane++) {
    for (const rows of down) {
      for (const columns of across) {
        let sum = 0;
        for (let y = rows.start; y < rows.end; y++) {
          const row = (plane * height + y) * width;
          for (let x = columns.start; x < columns.end; x++) sum += input.data[row + x]!;
        }
        data[at++] = sum / divide(rows, columns, divisor);
      }
    }
  }
  return { shape: [batch, channels, down.length, across.length], data };
}

export function divide(rows: Span, columns: Span, divisor: Divisor): number {
  if (divisor.override !== null) return divisor.override;
  if (divisor.countPadding) return rows.extent * columns.extent;
  return (rows.end - rows.start) * (columns.end - columns.start);
}

export function adaptiveMaxPool2d(input: Tensor, outputs: Pair): Tensor {
  const [batch, channels, height, width] = input.shape as [number, number, number, number];
  const [down, across] = [adaptiveSpans(height, outputs[0]), adaptiveSpans(width, outputs[1])];
  const data = new Float32Array(batch * channels * down.length * across.length);
  let at = 0;
  for (let plane = 0; plane < batch * channels; plane++) {
    for (const rows of down) {
      for (const columns of across) {
        const kernel: Pair = [rows.extent, columns.extent];
        const one: PoolWindow = { kernel, stride: [1, 1], padding: [0, 0], dilation: [1, 1], ceil: false };
        data[at++] = largest(input.data, plane * height * width, [height, width], one, rows.start, columns.start);
      }
    }
  }
  return { shape: [batch, channels, down.length, across.length], data };
}
