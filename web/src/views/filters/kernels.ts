/** The kernels of a convolution as maps, and what is measured of them. */

import type { MapOfNumbers, Range } from "../../drawing/maps.ts";
import type { NdArray } from "../../protocol/wire.ts";

export interface Bank {
  layers: string[];
  layer: string;
  /** It looks at pixels. */
  first: boolean;
  step: number | null;
  /** (filters, inputs, rows, columns). */
  weights: NdArray<Float32Array>;
  /** Which filters these are. */
  outputs: NdArray<Int32Array>;
  total: number;
  peak: number;
  /** Why no share of Gabor-like filters can be told. */
  fit: "kernel" | "inputs" | null;
  needed: number;
}

export interface GaborShares {
  share: number | null;
  control_share: number | null;
  controls: number;
  threshold: number;
  r2: NdArray<Float32Array> | null;
  like: NdArray<Uint8Array>;
  dead: NdArray<Uint8Array>;
  flat: NdArray<Uint8Array>;
}

/** One map per filter and input; of one filter only, if it is given (by its place). */
export function kernels(bank: Bank, filter: number | null = null): MapOfNumbers[] {
  const [count = 0, inputs = 1, rows = 1, columns = 1] = bank.weights.shape;
  const first = filter === null ? 0 : filter * inputs;
  return Array.from({ length: filter === null ? count * inputs : inputs }, (_, index) => ({
    values: bank.weights.data, start: (first + index) * rows * columns, rows, columns, low: 0, high: 0,
  }));
}

const own = (bank: Bank, filter: number): Float32Array => {
  const each = bank.weights.data.length / Math.max(bank.weights.shape[0] ?? 1, 1);
  return bank.weights.data.subarray(filter * each, (filter + 1) * each);
};

/** The symmetric range of one filter's weights. */
export function peakOf(bank: Bank, filter: number): Range {
  const peak = own(bank, filter).reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  return { low: -peak, high: peak };
}

export function norm(bank: Bank, filter: number): { low: number; high: number; norm: number } {
  const weights = own(bank, filter);
  return {
    low: weights.reduce((low, weight) => Math.min(low, weight), Infinity),
    high: weights.reduce((high, weight) => Math.max(high, weight), -Infinity),
    norm: Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0)),
  };
}

/** RGBA pixels of a filter over red, green and blue: 0 is mid grey, `peak` is full colour. */
export function colours(bank: Bank, filter: number, peak: number): Uint8ClampedArray<ArrayBuffer> {
  const [, , rows = 1, columns = 1] = bank.weights.shape;
  const cells = rows * columns;
  const weights = own(bank, filter);
  const out = new Uint8ClampedArray(4 * cells);
  for (let cell = 0; cell < cells; cell++) {
    for (let channel = 0; channel < 3; channel++) {
      out[4 * cell + channel] = Math.round(127.5 * (1 + (weights[channel * cells + cell] ?? 0) / (peak || 1)));
    }
    out[4 * cell + 3] = 255;
  }
  return out;
}
