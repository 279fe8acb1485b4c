/** The maps of a layer, wherever they come from. */

import type { MapOfNumbers, Range } from "../../drawing/maps.ts";
import type { Progress } from "../../protocol/ask.ts";
import type { Scope } from "../../protocol/selection.svelte.ts";
import type { NdArray } from "../../protocol/wire.ts";

export interface Shown {
  layer: string;
  image: string;
  step: number | null;
  maps: MapOfNumbers[];
  rows: number;
  columns: number;
  /** Rows and columns of the maps as the layer has them. */
  size: [number, number];
  /** Values of the layer along a cell's side: 1 where nothing was averaged. */
  cell: number;
  channels: number[];
  /** Channels of the layer. */
  total: number;
  /** What the colours span; null: each map its own. */
  range: Range | null;
  /** Between what the stored levels lie. */
  levels: Range | null;
}

export interface Source {
  readonly shown: Shown | null;
  readonly layers: string[];
  readonly layer: string | null;
  /** Why there are none. */
  readonly missing: string | null;
  /** The reason is that this image was not watched. */
  readonly unwatched: boolean;
  readonly progress: Progress | null;
}

/** What is asked of the answer of `subject`. */
export interface Subject {
  model_missing: string | null;
  first: string | null;
  [name: string]: unknown;
}

export interface LiveLayer {
  values: NdArray<Uint8Array | Float32Array>;
  low: NdArray<Float32Array>;
  high: NdArray<Float32Array>;
  /** Rows and columns of the whole maps. */
  size: [number, number];
}

export function liveMaps(layer: LiveLayer): MapOfNumbers[] {
  const [channels = 0, rows = 1, columns = 1] = layer.values.shape;
  return Array.from({ length: channels }, (_, channel) => ({
    values: layer.values.data, start: channel * rows * columns, rows, columns,
    low: layer.low.data[channel] ?? 0, high: layer.high.data[channel] ?? 0,
  }));
}

/** The range of all channels of one or all layers; null: each map its own. */
export function liveRange(layers: Record<string, LiveLayer>, layer: string, scope: Scope): Range | null {
  if (scope === "unit") return null;
  const range = { low: Infinity, high: -Infinity };
  for (const [name, { low, high }] of Object.entries(layers)) {
    if (scope === "layer" && name !== layer) continue;
    for (const value of low.data) range.low = Math.min(range.low, value);
    for (const value of high.data) range.high = Math.max(range.high, value);
  }
  return range.low <= range.high ? range : null;
}
