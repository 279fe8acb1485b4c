/** 2-D convolution (cross-correlation, as torch.nn.functional.conv2d computes it). */

import type { Tensor } from "../tensor.ts";
import { multiplyRows, weightsOf } from "./rows.ts";

export type Pair = readonly [number, number];

export interface Window {
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
}

/** Rows (or columns) that a window gives: floor((length + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
export function outputLength(
  length: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation: number,
): number {
  return Math.floor((length + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

/**
 * (n, c, h, w) with weights (o, c / groups, kh, kw) to (n, o, h', w').
 *
 * One row of outputs at a time: the inputs under each window are laid out one after the other (im2col), which makes
 * every output a sum along two runs of numbers.
 */
export function conv2d(input: Tensor, weight: Tensor, bias: Tensor | null, window: Window, groups: number): Tensor {
  const [batch, channels, height, width] = input.shape as [number, number, number, number];
  const [outputs, perGroup, ...kernel] = weight.shape as [number, number, number, number];
  if (perGroup * groups !== channels) {
    throw new Error(`conv2d: ${channels} channels came in, the weights expect ${perGroup * groups}`);
  }
  const { stride, padding, dilation } = window;
  const rows = outputLength(height, kernel[0], stride[0], padding[0], dilation[0]);
  const columns = outputLength(width, kernel[1], stride[1], padding[1], dilation[1]);
  const data = new Float32Array(batch * outputs * rows * columns);
  const taps = perGroup * kernel[0] * kernel[1];
  const windows = new Float64Array(columns * taps);
  const ownOutputs = outputs / groups;
  for (let group = 0; group < groups; group++) {
    const weights = weightsOf(weight.data, group * ownOutputs, ownOutputs, taps);
    for (let n = 0; n < batch; n++) {
      const planes = { start: (n * channels + group * perGroup) * height * width, count: perGroup, height, width };
      for (let y = 0; y < rows; y++) {
        layOut(windows, input.data, planes, kernel, window, y, columns);
        const start = ((n * outputs + group * ownOutputs) * rows + y) * columns;
        const target = { data, start, perOutput: rows * columns, perRow: 1 };
        multiplyRows(windows, columns, weights, bias === null ? null : bias.data, group * ownOutputs, target);
      }
    }
  }
  return { shape: [batch, outputs, rows, columns], data };
}

interface Planes {
  readonly start: number;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** The inputs under each window of a row of outputs, window after window; 0 outside. */
function layOut(
  windows: Float64Array,
  source: Float32Array,
  planes: Planes,
  kernel: readonly [number, number],
  { stride, padding, dilation }: Window,
  y: number,
  columns: number,
): void {
  const { start, count, height, width } = planes;
  const taps = count * kernel[0] * kernel[1];
  let tap = 0;
  for (let c = 0; c < count; c++) {
    for (let ky = 0; ky < kernel[0]; ky++) {
      const row = y * stride[0] - padding[0] + ky * dilation[0];
      const isRow = row >= 0 && row < height;
      const from = start + (c * height + row) * width;
      for (let kx = 0; kx < kernel[1]; kx++, tap++) {
        for (let x = 0, column = kx * dilation[1] - padding[1]; x < columns; x++, column += stride[1]) {
          windows[x * taps + tap] = isRow && column >= 0 && column < width ? source[from + column]! : 0;
        }
      }
    }
  }
}
