/** Values of a layer as maps (channel, row, column), small enough to draw: as `opsin.reporting.views.shown`. */

import { size, strides } from "./tensor.ts";

export type MapShape = readonly [number, number, number];

/** Levels of maps: `low + values / 255 (high - low)` per channel. */
export interface Levels {
  readonly values: Uint8Array;
  readonly shape: MapShape;
  readonly low: Float32Array;
  readonly high: Float32Array;
}

/** The shape as which values of a shape without the batch axis are shown. */
export function mapShape(shape: readonly number[]): MapShape {
  if (shape.length < 2) return [size(shape), 1, 1];
  return [size(shape.slice(0, -2)), shape.at(-2)!, shape.at(-1)!];
}

/** Where (channel, row, column) of the maps lies in the layer's own axes. */
export function nodePosition(shape: readonly number[], unit: readonly number[]): number[] {
  const shown = mapShape(shape);
  if (unit.length !== 3 || !unit.every((at, axis) => Number.isInteger(at) && at >= 0 && at < shown[axis]!)) {
    throw new Error(`unit [${unit.join(", ")}] was asked for; the layer's maps are [${shown.join(", ")}]`);
  }
  let rest = (unit[0]! * shown[1] + unit[1]!) * shown[2] + unit[2]!;
  return strides(shape).map((step) => {
    const at = Math.floor(rest / step);
    rest -= at * step;
    return at;
  });
}

/** A position in a layer's own axes as channel, row, column of its maps; outside (padding) stays outside. */
export function mapPosition(shape: readonly number[], position: readonly number[]): [number, number, number] {
  const axes = shape.length;
  if (axes === 0) return [0, 0, 0];
  if (axes === 1) return [position[0]!, 0, 0];
  let channel = 0;
  for (let axis = 0; axis < axes - 2; axis++) channel = channel * shape[axis]! + position[axis]!;
  return [channel, position[axes - 2]!, position[axes - 1]!];
}

export type Spans = readonly (readonly [number, number])[];

/** Spans along a layer's own axes as [first, behind the last] of channels, rows and columns of its maps. */
export function mapBox(shape: readonly number[], spans: Spans): number[] {
  if (shape.length === 0) return [0, 1, 0, 1, 0, 1];
  if (spans.some(([start, stop]) => start >= stop)) return [0, 0, 0, 0, 0, 0];
  const first = mapPosition(
    shape,
    spans.map(([start]) => start),
  );
  const last = mapPosition(
    shape,
    spans.map(([, stop]) => stop - 1),
  );
  return first.flatMap((at, axis) => [at, last[axis]! + 1]);
}

/** Means over squares of whole cells, as few as make the longer side at most `side`. */
export function shrunk(maps: Float32Array, shape: MapShape, side: number): { data: Float32Array; shape: MapShape } {
  const [channels, height, width] = shape;
  const step = Math.ceil(Math.max(height, width) / side);
  if (step <= 1) return { data: maps, shape };
  const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
  const data = new Float32Array(channels * rows * columns);
  let at = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const [bottom, right] = [Math.min(height, (row + 1) * step), Math.min(width, (column + 1) * step)];
        let sum = 0;
        for (let y = row * step; y < bottom; y++) {
          for (let x = column * step; x < right; x++) sum += maps[(channel * height + y) * width + x]!;
        }
        data[at++] = sum / ((bottom - row * step) * (right - column * step));
      }
    }
  }
  return { data, shape: [channels, rows, columns] };
}

/** Maps as bytes, their longer side at most `side` cells (null: whole). What is not finite counts as 0. */
export function levels(values: Float32Array, shape: MapShape, side: number | null): Levels {
  const maps = values.every(Number.isFinite) ? values : values.map((value) => (Number.isFinite(value) ? value : 0));
  const [channels] = shape;
  const { data, shape: small } = side === null ? { data: maps, shape } : shrunk(maps, shape, side);
  const { low, high } = ranges(maps, channels);
  const plane = small[1] * small[2];
  const bytes = new Uint8Array(data.length);
  for (let channel = 0; channel < channels; channel++) {
    const least = low[channel]!;
    const factor = Math.fround(255 / (high[channel]! > least ? Math.fround(high[channel]! - least) : 1));
    for (let at = channel * plane; at < (channel + 1) * plane; at++) {
      bytes[at] = Math.min(255, Math.max(0, Math.floor((data[at]! - least) * factor + 0.5)));
    }
  }
  return { values: bytes, shape: small, low, high };
}

/** The smallest and the largest value of each channel. */
export function ranges(maps: Float32Array, channels: number): { low: Float32Array; high: Float32Array } {
  const [low, high] = [new Float32Array(channels), new Float32Array(channels)];
  const plane = maps.length / channels;
  for (let channel = 0; channel < channels; channel++) {
    let [least, most] = [Infinity, -Infinity];
    for (let at = channel * plane; at < (channel + 1) * plane; at++) {
      if (maps[at]! < least) least = maps[at]!;
      if (maps[at]! > most) most = maps[at]!;
    }
    [low[channel], high[channel]] = [least, most];
  }
  return { low, high };
}
