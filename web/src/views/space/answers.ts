/** What the questions of this view answer. */

import type { NdArray } from "../../protocol/wire.ts";

export interface Spaces {
  kept: string;
  epochs: NdArray<Int32Array>;
  steps: NdArray<Int32Array>;
  layers: string[];
  layers_missing: string | null;
  images: number;
}

export interface Layout {
  ids: string[];
  labels: NdArray<Int32Array>;
  answers: NdArray<Int32Array>;
  confidence: NdArray<Float32Array>;
  positions: NdArray<Float32Array>;
  epoch: number | null;
  step: number | null;
  layer: string;
  features: number;
  method: "pca" | "tsne";
  perplexity: number | null;
  trustworthiness: number | null;
  neighbours: number;
  purity: number | null;
  purity_chance: number | null;
  explained: number[] | null;
  change: number | null;
  /** The epoch that this one was turned onto. */
  before: number | null;
  notes: string[];
}

export interface SubjectAnswer {
  classes: string[];
}

/** The epochs with their steps. */
export const offered = (spaces: Spaces): { epoch: number; step: number }[] =>
  Array.from(spaces.epochs.data, (epoch, at) => ({ epoch, step: spaces.steps.data[at] ?? 0 }));

/** The epoch that ended nearest to a step; none chosen: the last. */
export function nearestEpoch(choices: readonly { epoch: number; step: number }[], step: number | null): number | null {
  if (!choices.length) return null;
  if (step === null) return choices.at(-1)!.epoch;
  return choices.reduce((best, one) => (Math.abs(one.step - step) < Math.abs(best.step - step) ? one : best)).epoch;
}
