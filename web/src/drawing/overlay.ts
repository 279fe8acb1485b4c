/** A heat map laid on its picture: the twin of `opsin.reporting.pictures.overlays`, for maps as `quantise` sends them. */

import type { NdArray } from "../protocol/wire.ts";
import { DIVERGING, LEVELS, SEQUENTIAL } from "./colours.ts";
import { type MapOfNumbers, photograph, type Range, valueAt } from "./maps.ts";

/** Opacity of the highest value: the photograph's texture still shows through. */
const STRONGEST = 0.85;
const FADING = 2;
// ITU-R BT.601, as for grey inputs
const LUMA = [0.299, 0.587, 0.114] as const;

/** Maps `(n, h, w)` as bytes between `low` and `high`; `smallest` and `largest` are of the whole map. */
export interface Heat {
  maps: NdArray<Uint8Array>;
  low: NdArray<Float32Array>;
  high: NdArray<Float32Array>;
  smallest: NdArray<Float32Array>;
  largest: NdArray<Float32Array>;
  /** The magnitude of the full colour. */
  full: NdArray<Float32Array>;
}

export interface HeatMap {
  map: MapOfNumbers;
  full: number;
  smallest: number;
  largest: number;
}

export function heatMap(heat: Heat, index: number): HeatMap {
  const [, rows = 0, columns = 0] = heat.maps.shape;
  const at = (part: NdArray<Float32Array>): number => part.data[index] ?? 0;
  return {
    map: { values: heat.maps.data, start: index * rows * columns, rows, columns, low: at(heat.low), high: at(heat.high) },
    full: at(heat.full),
    smallest: at(heat.smallest),
    largest: at(heat.largest),
  };
}

/** What the colours of a map span: its full colour is the same on both sides of zero. */
export const heatRange = (heat: HeatMap): Range => ({ low: heat.smallest < 0 ? -heat.full : 0, high: heat.full });

/** One picture uint8 `(h, w, c)` of `(n, h, w, c)`. */
export function pictureAt(pictures: NdArray, index: number): NdArray {
  const [, rows = 0, columns = 0, channels = 1] = pictures.shape;
  const size = rows * columns * channels;
  return { dtype: "uint8", shape: [rows, columns, channels], data: pictures.data.subarray(index * size, (index + 1) * size) };
}

/** The width at most `room` at which pictures of so many columns are shown: small ones at whole multiples of theirs. */
export function crispWidth(columns: number, room: number): number {
  return columns > 0 && 2 * columns <= room ? columns * Math.floor(room / columns) : room;
}

/** Row and column around which the magnitude of a map lies, or null of a blank one. */
export function centre({ map }: HeatMap): [number, number] | null {
  let [sum, down, across] = [0, 0, 0];
  for (let index = 0; index < map.rows * map.columns; index++) {
    const size = Math.abs(valueAt(map, 0, index));
    sum += size;
    down += size * Math.floor(index / map.columns);
    across += size * (index % map.columns);
  }
  return sum > 0 ? [down / sum, across / sum] : null;
}

/** RGBA pixels of a picture with its map: nothing is changed where the map is zero, and opacity follows the value. */
export function overlaid(picture: NdArray, heat: HeatMap): Uint8ClampedArray<ArrayBuffer> {
  const out = photograph(picture);
  const { map, full } = heat;
  if (full <= 0) return out;
  const signed = heat.smallest < 0;
  const colours = signed ? DIVERGING : SEQUENTIAL;
  for (let index = 0; index < map.rows * map.columns; index++) {
    const value = valueAt(map, 0, index) / full;
    const share = Math.min(Math.max(value, signed ? -1 : 0), 1);
    if (share === 0) continue;
    const level = 3 * Math.round((signed ? (share + 1) / 2 : share) * (LEVELS - 1));
    blend(out, 4 * index, colours, level, Math.abs(share));
  }
  return out;
}

function blend(out: Uint8ClampedArray, at: number, colours: Uint8Array, level: number, size: number): void {
  const pixel = [out[at] ?? 0, out[at + 1] ?? 0, out[at + 2] ?? 0] as const;
  const grey = LUMA[0] * pixel[0] + LUMA[1] * pixel[1] + LUMA[2] * pixel[2];
  // the photograph loses its own colours first, so that an orange thing is not taken for an orange map
  const faded = 1 - (1 - size) ** FADING;
  const opacity = STRONGEST * size ** 0.75;
  for (let channel = 0; channel < 3; channel++) {
    const below = (pixel[channel] ?? 0) + (grey - (pixel[channel] ?? 0)) * faded;
    out[at + channel] = Math.round(below * (1 - opacity) + (colours[level + channel] ?? 0) * opacity);
  }
}
