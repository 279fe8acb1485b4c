/** Maps of numbers as pixels. */

import type { NdArray, Values } from "../protocol/wire.ts";
import { DIVERGING, LEVELS, SEQUENTIAL } from "./colours.ts";

/** One map: values at `start..start + rows * columns` of an array; uint8 values stand for low..high. */
export interface MapOfNumbers {
  values: Values;
  start: number;
  rows: number;
  columns: number;
  /** What 0 and 255 stand for where the values are uint8. */
  low: number;
  high: number;
}

/** What colours mean: the range that the whole colour map spans. */
export interface Range {
  low: number;
  high: number;
}

/** A range with negative values is drawn around zero in two colours. */
export const isSigned = (range: Range): boolean => range.low < 0;

/** The range that is drawn: symmetric around zero where there are negative values, from zero where there are none. */
export function drawnRange(range: Range): Range {
  if (!isSigned(range)) return { low: Math.min(0, range.low), high: range.high };
  const size = Math.max(-range.low, range.high);
  return { low: -size, high: size };
}

export function valueAt(map: MapOfNumbers, row: number, column: number): number {
  const value = map.values[map.start + row * map.columns + column] ?? 0;
  return map.values instanceof Uint8Array ? map.low + (value / 255) * (map.high - map.low) : value;
}

export function rangeOf(map: MapOfNumbers): Range {
  if (map.values instanceof Uint8Array) return { low: map.low, high: map.high };
  let low = Infinity;
  let high = -Infinity;
  for (let index = map.start; index < map.start + map.rows * map.columns; index++) {
    const value = map.values[index] ?? 0;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

/** RGBA pixels of a map; `range` is what the colour map spans (see `drawnRange`). */
export function pixels(map: MapOfNumbers, range: Range): Uint8ClampedArray<ArrayBuffer> {
  const colours = isSigned(range) ? DIVERGING : SEQUENTIAL;
  const out = new Uint8ClampedArray(4 * map.rows * map.columns);
  const bytes = map.values instanceof Uint8Array;
  const scale = bytes ? (map.high - map.low) / 255 : 1;
  const offset = bytes ? map.low : 0;
  const spread = range.high - range.low || 1;
  for (let index = 0; index < map.rows * map.columns; index++) {
    const share = ((map.values[map.start + index] ?? 0) * scale + offset - range.low) / spread;
    const level = Math.round(Math.min(Math.max(share, 0), 1) * (LEVELS - 1));
    out[4 * index] = colours[3 * level] ?? 0;
    out[4 * index + 1] = colours[3 * level + 1] ?? 0;
    out[4 * index + 2] = colours[3 * level + 2] ?? 0;
    out[4 * index + 3] = 255;
  }
  return out;
}

/** RGBA pixels of a picture uint8 `(h, w, c)` with one, three or four channels. */
export function photograph(picture: NdArray): Uint8ClampedArray<ArrayBuffer> {
  const [rows = 0, columns = 0, channels = 1] = picture.shape;
  const out = new Uint8ClampedArray(4 * rows * columns);
  for (let index = 0; index < rows * columns; index++) {
    const at = index * channels;
    const grey = picture.data[at] ?? 0;
    out[4 * index] = grey;
    out[4 * index + 1] = channels >= 3 ? (picture.data[at + 1] ?? 0) : grey;
    out[4 * index + 2] = channels >= 3 ? (picture.data[at + 2] ?? 0) : grey;
    out[4 * index + 3] = channels === 4 ? (picture.data[at + 3] ?? 255) : 255;
  }
  return out;
}

/** Put RGBA pixels on a canvas of just that size; the style sheet enlarges it. */
export function paint(canvas: HTMLCanvasElement, rgba: Uint8ClampedArray<ArrayBuffer>, rows: number, columns: number): void {
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  if (rows && columns) canvas.getContext("2d")?.putImageData(new ImageData(rgba, columns, rows), 0, 0);
}
