/** What the questions of this view answer, and the images in the order of what differs. */

import type { Verdict } from "../../parts/verdict.ts";
import type { NdArray } from "../../protocol/wire.ts";

export interface Others {
  ids: string[];
  names: string[];
  methods: string[];
}

export interface Compared {
  names: [string, string];
  images: number;
  accuracy_a: number;
  accuracy_b: number;
  difference: number;
  interval: [number, number];
  p_value: number;
  both_right: number;
  only_a: number;
  only_b: number;
  both_wrong: number;
  ids: string[];
  labels: NdArray<Int32Array>;
  answers_a: NdArray<Int32Array>;
  answers_b: NdArray<Int32Array>;
  confidence_a: NdArray<Float32Array>;
  confidence_b: NdArray<Float32Array>;
  truth_a: NdArray<Float32Array>;
  truth_b: NdArray<Float32Array>;
  distance: NdArray<Float32Array>;
  classes: string[];
  excluded: number;
  notes: string[];
}

export interface ComparedMaps {
  ids: string[];
  targets: NdArray<Int32Array>;
  probability_a: NdArray<Float32Array> | null;
  probability_b: NdArray<Float32Array> | null;
  maps_a: NdArray<Uint8Array>;
  low_a: NdArray<Float32Array>;
  high_a: NdArray<Float32Array>;
  maps_b: NdArray<Uint8Array>;
  low_b: NdArray<Float32Array>;
  high_b: NdArray<Float32Array>;
  agreement: { spearman: NdArray<Float32Array>; ssim: NdArray<Float32Array>; top_overlap: NdArray<Float32Array> } | null;
  unlike: string | null;
  verdict_a: Verdict;
  verdict_b: Verdict;
  layer_a: string;
  layer_b: string;
}

/** What became of an image: a alone is right, b alone, both wrong in different or in the same way, both right. */
export const KINDS = ["only_a", "only_b", "differ", "both_wrong", "both_right"] as const;
export type Kind = (typeof KINDS)[number];

export function kindOf(found: Compared, index: number): Kind {
  const [truth, a, b] = [found.labels.data[index], found.answers_a.data[index], found.answers_b.data[index]];
  if (a === truth) return b === truth ? "both_right" : "only_a";
  if (b === truth) return "only_b";
  return a === b ? "both_wrong" : "differ";
}

export interface Sorted {
  counts: Record<Kind, number>;
  /** Images of the kinds that are shown: other answers first, then by how far the probabilities lie apart. */
  order: number[];
}

export function sorted(found: Compared, shown: Kind | "all"): Sorted {
  const counts: Record<Kind, number> = { only_a: 0, only_b: 0, differ: 0, both_wrong: 0, both_right: 0 };
  const order: number[] = [];
  for (let index = 0; index < found.ids.length; index++) {
    const kind = kindOf(found, index);
    counts[kind] += 1;
    if (shown === "all" || shown === kind) order.push(index);
  }
  const differs = (index: number): number => (found.answers_a.data[index] === found.answers_b.data[index] ? 1 : 0);
  order.sort((a, b) => differs(a) - differs(b) || found.distance.data[b]! - found.distance.data[a]! || a - b);
  return { counts, order };
}
