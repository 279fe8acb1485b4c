/** Where points lie too close to be told apart: how many there are, and of which classes, as a picture. */

import { type Camera, screenX, screenY, type Size } from "./camera.ts";
import type { Points, Style } from "./splat.ts";

/** Pixels of the canvas along a side of a cell. */
export const CELL = 6;
/** Points in an occupied cell, on average, from which dots say less than density does. */
export const CROWDED = 3;

export interface Density {
  columns: number;
  rows: number;
  /** Points per cell. */
  counts: Float32Array;
  /** Mean colour of the points of a cell, RGB one after the other. */
  colours: Float32Array;
  /** Points in an occupied cell, on average. */
  crowding: number;
}

export function density(size: Size, camera: Camera, points: Points, style: Style, cell = CELL): Density {
  const columns = Math.ceil(size.width / cell);
  const rows = Math.ceil(size.height / cell);
  const counts = new Float32Array(rows * columns);
  const colours = new Float32Array(3 * rows * columns);
  const shades = style.colours.length / 3;
  const classes = style.opacity.length - 1;
  let seen = 0;
  for (let index = 0; index < points.labels.length; index++) {
    const label = points.labels[index]!;
    const known = label >= 0 && label < classes;
    const weight = ((style.opacity[known ? label : classes] ?? 255) / 255) * ((points.weight?.[index] ?? 255) / 255);
    const column = Math.floor(screenX(camera, size, points.positions[2 * index]!) / cell);
    const row = Math.floor(screenY(camera, size, points.positions[2 * index + 1]!) / cell);
    if (!weight || !(column >= 0 && row >= 0 && column < columns && row < rows)) continue;
    const at = row * columns + column;
    counts[at]! += weight;
    seen += weight;
    const colour = 3 * (label % shades);
    colours[3 * at]! += weight * (known ? style.colours[colour]! : style.unknown[0]);
    colours[3 * at + 1]! += weight * (known ? style.colours[colour + 1]! : style.unknown[1]);
    colours[3 * at + 2]! += weight * (known ? style.colours[colour + 2]! : style.unknown[2]);
  }
  let occupied = 0;
  for (let at = 0; at < counts.length; at++) {
    const count = counts[at]!;
    if (!count) continue;
    occupied += 1;
    for (let channel = 0; channel < 3; channel++) colours[3 * at + channel]! /= count;
  }
  return { columns, rows, counts, colours, crowding: occupied ? seen / occupied : 0 };
}

/** RGBA pixels of a density, one per cell: the more points, the more opaque, in steps of their logarithm. */
export function densityPixels(found: Density): Uint8ClampedArray<ArrayBuffer> {
  const out = new Uint8ClampedArray(4 * found.counts.length);
  let most = 1;
  for (const count of found.counts) if (count > most) most = count;
  for (let at = 0; at < found.counts.length; at++) {
    const count = found.counts[at]!;
    if (!count) continue;
    for (let channel = 0; channel < 3; channel++) out[4 * at + channel] = found.colours[3 * at + channel]!;
    out[4 * at + 3] = 255 * (0.25 + (0.75 * Math.log1p(count)) / Math.log1p(most));
  }
  return out;
}
