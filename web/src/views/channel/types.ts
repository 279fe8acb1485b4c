/** The answers of `opsin.reporting.views.channel`. */

import type { NdArray } from "../../protocol/wire.ts";

export interface LayerEntry {
  name: string;
  kind: string;
  channels: number;
  rows: number;
  columns: number;
}

export interface ChannelAnswer {
  layer: string;
  kind: string;
  channel: number;
  channels: number;
  rows: number;
  columns: number;
  layers: LayerEntry[];
  filter: NdArray<Float32Array> | null;
  filter_inputs: [number, number] | null;
  bias: number | null;
  source: "validation" | "probe" | "example";
  images: number;
  counts: NdArray<Int32Array>;
  low: number;
  high: number;
  zeros: number;
  mean: number;
  smallest: number;
  largest: number;
  class_means: NdArray<Float32Array> | null;
  class_counts: NdArray<Int32Array> | null;
  top: { images: number; quick: boolean } | null;
  quick_dream: boolean;
}

export interface TopAnswer {
  ids: string[];
  names: string[];
  values: NdArray<Float32Array>;
  crops: NdArray<Uint8Array>;
  places: NdArray<Int32Array>;
  boxes: NdArray<Int32Array>;
  size: [number, number];
  field: "local" | "structural";
  ignored: string[];
  dead: boolean;
  images: number;
  copies: number;
  class_means: NdArray<Float32Array> | null;
  selectivity: number | null;
  preferred: number | null;
  p_value: number | null;
  selective: boolean;
  notes: string[];
}

export interface DreamAnswer {
  frames: NdArray<Uint8Array>;
  steps: NdArray<Int32Array>;
  activations: NdArray<Float32Array>;
  final: number;
  noise: NdArray<Float32Array>;
  real: NdArray<Float32Array> | null;
  label: string;
  seconds: number;
  seed: number;
  notes: string[];
}
