/** What the network made of the probe at one step, and the maps in it. */

import { vectorShape } from "../drawing/mosaic.ts";
import type { MapOfNumbers, Range } from "../drawing/maps.ts";
import type { Scope } from "../protocol/selection.svelte.ts";
import type { NdArray } from "../protocol/wire.ts";

export interface StoredLayer {
  /** (images, channels, rows, columns), or (images, features). */
  values: NdArray<Uint8Array>;
  low: number;
  high: number;
  channels: NdArray<Int32Array>;
}

export interface Snapshot {
  step: number;
  images: NdArray<Int32Array>;
  probabilities: NdArray<Float32Array>;
  layers: Record<string, StoredLayer>;
}

export interface ProbeLayer {
  name: string;
  kind: string;
  shape: number[] | null;
  /** Channels that the snapshots hold. */
  kept: number;
  /** Smallest and largest value at each step. */
  low: NdArray<Float32Array>;
  high: NdArray<Float32Array>;
}

export interface Probe {
  ids: string[];
  images: NdArray<Uint8Array>;
  labels: NdArray<Int32Array>;
  classes: string[];
  steps: NdArray<Int32Array>;
  /** (steps, images). */
  best: NdArray<Int32Array>;
  best_share: NdArray<Float32Array>;
  label_share: NdArray<Float32Array>;
  layers: ProbeLayer[];
}

/** The maps of one image (by its place in the answer), one per channel. */
export function mapsOf(layer: StoredLayer, image: number): MapOfNumbers[] {
  const [, channels = 0, rows = 1, columns = 1] = layer.values.shape;
  const { low, high } = layer;
  return Array.from({ length: channels }, (_, channel) => ({
    values: layer.values.data, start: (image * channels + channel) * rows * columns, rows, columns, low, high,
  }));
}

/** All values of a layer without places as one map. */
export function vectorMap(layer: StoredLayer, image: number): MapOfNumbers {
  const features = layer.values.shape[1] ?? 0;
  const [rows, columns] = vectorShape(features);
  return { values: layer.values.data, start: image * features, rows, columns, low: layer.low, high: layer.high };
}

export const hasPlaces = (layer: StoredLayer): boolean => layer.values.shape.length === 4;

/** What the colours span over the whole film: the layer's values at all steps, or those of all layers; null: each map its own. */
export function filmRange(probe: Probe, layer: string, scope: Scope): Range | null {
  if (scope === "unit") return null;
  const layers = probe.layers.filter((entry) => scope === "global" || entry.name === layer);
  const range = { low: Infinity, high: -Infinity };
  for (const entry of layers) {
    for (const low of entry.low.data) range.low = Math.min(range.low, low);
    for (const high of entry.high.data) range.high = Math.max(range.high, high);
  }
  return range.low <= range.high ? range : null;
}

/** The layer that is looked at where none is chosen: the first with maps. */
export function firstLayer(layers: ProbeLayer[]): ProbeLayer | undefined {
  return layers.find((layer) => layer.shape?.length === 3) ?? layers[0];
}

/** The position of an image of the probe; null for other pictures. */
export function probePosition(id: string | null, count: number): number | null {
  const found = /^probe\/(\d+)$/.exec(id ?? "");
  const position = Number(found?.[1] ?? NaN);
  return position < count ? position : null;
}

/** One image of a stack (n, h, w, c). */
export function imageOf(stack: NdArray<Uint8Array>, image: number): NdArray<Uint8Array> {
  const shape = stack.shape.slice(1);
  const size = shape.reduce((product, length) => product * length, 1);
  return { dtype: "uint8", shape, data: stack.data.subarray(image * size, (image + 1) * size) };
}

/** The likeliest classes of one image of a snapshot. */
export function likeliest(snapshot: Snapshot, image: number, most: number): { index: number; share: number }[] {
  const classes = snapshot.probabilities.shape[1] ?? 0;
  const shares = snapshot.probabilities.data.subarray(image * classes, (image + 1) * classes);
  const order = Array.from(shares.keys()).sort((a, b) => shares[b]! - shares[a]! || a - b);
  return order.slice(0, most).map((index) => ({ index, share: shares[index]! }));
}
