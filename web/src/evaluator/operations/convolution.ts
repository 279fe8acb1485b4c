/** 2-D convolution (cross-correlation, as torch.nn.functional.conv2d computes it). */

import type { Tensor } from "../tensor.ts";

export type Pair = readonly [number, number];

export interface Window {
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
}

/** Rows (or columns) that a window gives: floor((length + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
export function outputLength(length: number, kernel: number, stride: number, padding: number, dilation: number): number {
  return Math.floor((length + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

/** The outputs [first, end) whose window's tap at `offset` (in the padded input) falls inside the input. */
export function inside(offset: number, padding: number, stride: number, length: number, outputs: number): Pair {
  const first = Math.max(0, Math.ceil((padding - offset) / stride));
  const end = Math.min(outputs, Math.floor((length - 1 + padding - offset) / stride) + 1);
  return [first, Math.max(first, end)];
}

/**
 * (n, c, h, w) with weights (o, c / groups, kh, kw) to (n, o, h', w').
 *
 * One output plane at a time is summed in float64, tap by tap: the inner loop runs along a row without any test for
 * the border, because the outputs that a tap reaches are known beforehand.
 */
export function conv2d(input: Tensor, weight: Tensor, bias: Tensor | null, window: Window, groups: number): Tensor {
  const [batch, channels, height, width] = input.shape as [number, number, number, number];
  const [outputs, perGroup, kernelHeight, kernelWidth] = weight.shape as [number, number, number, number];
  if (perGroup * groups !== channels) {
    throw new Error(`conv2d: ${channels} channels came in, the weights expect ${perGroup * groups}`);
  }
  const { stride, padding, dilation } = window;
  const rows = outputLength(height, kernelHeight, stride[0], padding[0], dilation[0]);
  const columns = outputLength(width, kernelWidth, stride[1], padding[1], dilation[1]);
  const plane = rows * columns;
  const data = new Float32Array(batch * outputs * plane);
  const sum = new Float64Array(plane);
  const outputsPerGroup = outputs / groups;
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      sum.fill(bias === null ? 0 : bias.data[o]!);
      const firstChannel = Math.floor(o / outputsPerGroup) * perGroup;
      for (let c = 0; c < perGroup; c++) {
        const source = (n * channels + firstChannel + c) * height * width;
        const taps = (o * perGroup + c) * kernelHeight * kernelWidth;
        for (let ky = 0; ky < kernelHeight; ky++) {
          const [top, bottom] = inside(ky * dilation[0], padding[0], stride[0], height, rows);
          for (let kx = 0; kx < kernelWidth; kx++) {
            const tap = weight.data[taps + ky * kernelWidth + kx]!;
            if (tap === 0) continue;
            const [left, right] = inside(kx * dilation[1], padding[1], stride[1], width, columns);
            const shift = source + (ky * dilation[0] - padding[0]) * width + kx * dilation[1] - padding[1];
            for (let y = top; y < bottom; y++) {
              addRow(sum, y * columns, left, right, input.data, shift + y * stride[0] * width, stride[1], tap);
            }
          }
        }
      }
      data.set(sum, (n * outputs + o) * plane);
    }
  }
  return { shape: [batch, outputs, rows, columns], data };
}

function addRow(
  sum: Float64Array,
  row: number,
  left: number,
  right: number,
  source: Float32Array,
  start: number,
  step: number,
  tap: number,
): void {
  if (step === 1) {
    for (let x = left; x < right; x++) sum[row + x] = sum[row + x]! + tap * source[start + x]!;
  } else {
    for (let x = left; x < right; x++) sum[row + x] = sum[row + x]! + tap * source[start + x * step]!;
  }
}
