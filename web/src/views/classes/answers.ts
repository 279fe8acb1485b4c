/** What the questions of this view answer. */

import type { NdArray } from "../../protocol/wire.ts";

export type Split = "validation" | "test";

export interface ClassesAnswer {
  split: Split;
  splits: Partial<Record<Split, number>>;
  epochs: NdArray<Int32Array>;
  steps: NdArray<Int32Array>;
  epoch: number | null;
  step: number | null;
  images: number;
  accuracy: number;
  interval: [number, number];
  confusion: NdArray<Int32Array> | null;
  pairs: { truth: NdArray<Int32Array>; answer: NdArray<Int32Array>; count: NdArray<Int32Array>; share: NdArray<Float32Array> };
  support: NdArray<Int32Array>;
  precision: NdArray<Float32Array>;
  recall: NdArray<Float32Array>;
  low: NdArray<Float32Array>;
  high: NdArray<Float32Array>;
  f1: NdArray<Float32Array>;
  auroc: NdArray<Float32Array>;
  reliability: NdArray<Float32Array> | null;
  calibrated: NdArray<Float32Array> | null;
  ece: number | null;
  ece_calibrated: number | null;
  temperature: number | null;
  brier: number | null;
  nll: number | null;
  excluded: number;
}

export interface Curves {
  index: number;
  roc: NdArray<Float32Array> | null;
  pr: NdArray<Float32Array> | null;
  auroc: number | null;
  prevalence: number;
  thresholds: { rule: string; threshold: number; sensitivity: number; specificity: number }[];
}

export interface GalleryAnswer {
  total: number;
  ids: string[];
  labels: NdArray<Int32Array>;
  answers: NdArray<Int32Array>;
  confidence: NdArray<Float32Array>;
  truth: NdArray<Float32Array>;
}

export const COLUMNS = ["recall", "precision", "f1", "auroc", "support"] as const;
export type Column = (typeof COLUMNS)[number];

/** Classes in the order of a column: what is worst first; classes without a figure last. */
export function ordered(answer: ClassesAnswer, column: Column, rising: boolean): number[] {
  const values = answer[column].data;
  const rank = (index: number): number => {
    const value = values[index] ?? NaN;
    return Number.isNaN(value) || !answer.support.data[index] ? Infinity : rising ? value : -value;
  };
  return Array.from(values, (_, index) => index).sort((a, b) => rank(a) - rank(b) || a - b);
}

/** The share of a row of a confusion matrix in each of its cells; 0 for a class without images. */
export function rowShares(matrix: NdArray<Int32Array>): Float32Array {
  const classes = matrix.shape[0] ?? 0;
  const shares = new Float32Array(matrix.data.length);
  for (let row = 0; row < classes; row++) {
    let total = 0;
    for (let column = 0; column < classes; column++) total += matrix.data[row * classes + column]!;
    for (let column = 0; total && column < classes; column++) {
      shares[row * classes + column] = matrix.data[row * classes + column]! / total;
    }
  }
  return shares;
}

/** An area under a curve; never 1.000 for less. */
export const area = (value: number): string => (Number.isNaN(value) ? "–" : (value < 1 ? Math.min(value, 0.999) : 1).toFixed(3));
