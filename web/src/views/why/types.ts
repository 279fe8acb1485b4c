/** The answers of `opsin.reporting.views.why` and `.evidence`. */

import type { Heat } from "../../drawing/overlay.ts";
import type { Language } from "../../language/say.ts";
import type { Verdict } from "../../parts/verdict.ts";
import type { NdArray } from "../../protocol/wire.ts";

/** A text by language. */
export type Spoken = Record<Language, string>;

export type Family = "cam" | "gradient" | "attention" | "perturbation";

export interface MethodInfo {
  name: string;
  family: Family;
  title: string;
  needs: Spoken;
  cost: Spoken;
  fails: Spoken;
  layer: boolean;
  class_specific: boolean;
  stochastic: boolean;
  slow: boolean;
}

export interface KeptEvidence {
  verdict: Verdict;
  layer: string;
  images: number;
  stale: boolean;
  against: boolean;
}

export interface Methods {
  methods: MethodInfo[];
  recommended: { method: string; layer: string | null; reason: Spoken } | null;
  layers: { name: string; rows: number; columns: number }[];
  default_layer: string | null;
  kept: Record<string, KeptEvidence>;
  damaged: Record<string, string>;
  of_steps: string[];
}

export interface Answers {
  names: string[];
  labels: NdArray<Int32Array>;
  pixels: NdArray<Uint8Array>;
  best: NdArray<Int32Array> | null;
  shares: NdArray<Float32Array> | null;
}

export interface Refused {
  method: string;
  refused: string;
}

export interface Maps {
  method: string;
  layer: string;
  seconds: number;
  evaluations: number;
  options: Record<string, string | number | boolean | null>;
  seed: number;
  notes: Spoken[];
  targets: NdArray<Int32Array>;
  against: NdArray<Int32Array> | null;
  probabilities: NdArray<Float32Array> | null;
  error: NdArray<Float32Array> | null;
  maps: Heat;
  random: Heat;
  edges: Heat;
  evidence: KeptEvidence | null;
  step?: number;
}

export interface Column {
  methods: [Maps | Refused];
}

export interface Beside {
  value: number;
  advantage: number;
  interval: [number, number];
}

export interface Figure {
  name: Spoken;
  unit: Spoken;
  value: number;
  low: number;
  high: number;
  better: "lower" | "higher";
  random: Beside | null;
  edge: Beside | null;
}

export interface Curve {
  name: Spoken;
  share: Spoken;
  columns: string[];
  points: NdArray<Float32Array>;
}

export interface Evidence {
  method: string;
  layer: string;
  title: string | null;
  verdict: Verdict;
  stale: boolean;
  names: string[];
  gain: number | null;
  gain_interval: [number, number] | null;
  p_value: number | null;
  seconds: number | null;
  reasons: Spoken[];
  figures: Figure[];
  curves: Curve[];
  protocols: [Spoken, string][];
  skipped: [Spoken, string][];
  notes: string[];
  facts: [Spoken, string][];
  shown: { names: string[]; pixels: NdArray<Uint8Array>; maps: Heat; random: Heat; edges: Heat };
}

/** What a column shows, and how far it can be trusted. */
export interface Drawn {
  maps: Maps;
  verdict: Verdict | null;
}

/** Which class is explained. */
export type Target = null | number | [number, number];
