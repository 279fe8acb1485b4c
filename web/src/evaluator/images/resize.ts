/**
 * Resizing exactly as Pillow resizes 8-bit pictures: a filter that grows with the shrinking (antialias), weights in
 * 22-bit fixed point, first along the rows, then along the columns, each pass rounded to 8 bits.
 */

import { blank, type Pixels } from "./pixels.ts";

export type Interpolation = "nearest" | "bilinear" | "bicubic" | "lanczos";

/** The part of a picture that is scaled, in its pixels. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

const PRECISION = 22;
const HALF = 2 ** (PRECISION - 1);
const ONE = 2 ** PRECISION;

interface Filter {
  readonly support: number;
  readonly weight: (x: number) => number;
}

const FILTERS: Readonly<Record<Exclude<Interpolation, "nearest">, Filter>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Keys (1981), with a = -0.5. */
function bicubic(at: number): number {
  const x = Math.abs(at);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

export function resize(
  picture: Pixels,
  height: number,
  width: number,
  part: Box,
  interpolation: Interpolation,
): Pixels {
  const box = single(part);
  const same = picture.height === height && picture.width === width;
  if (same && box.top === 0 && box.left === 0 && box.bottom === height && box.right === width) return picture;
  if (interpolation === "nearest") return nearest(picture, height, width, box);
  const filter = FILTERS[interpolation];
  const source = picture.channels % 2 === 0 ? premultiplied(picture) : picture;
  const across = taps(source.width, box.left, box.right, width, filter);
  const down = taps(source.height, box.top, box.bottom, height, filter);
  const wide = needed(source.width, width, box.left, box.right) ? alongRows(source, across) : source;
  const done = needed(source.height, height, box.top, box.bottom) ? alongColumns(wide, down) : wide;
  return picture.channels % 2 === 0 ? straight(done) : done;
}

/** Pillow holds a box in single precision. */
function single({ top, left, bottom, right }: Box): Box {
  return { top: Math.fround(top), left: Math.fround(left), bottom: Math.fround(bottom), right: Math.fround(right) };
}

function needed(length: number, outputs: number, start: number, end: number): boolean {
  return length !== outputs || start !== 0 || end !== outputs;
}

function nearest(picture: Pixels, height: number, width: number, box: Box): Pixels {
  const { channels } = picture;
  const out = blank(height, width, channels);
  const rows = sampled(height, box.top, box.bottom);
  const columns = sampled(width, box.left, box.right);
  rows.forEach((row, y) => {
    columns.forEach((column, x) => {
      const from = (row * picture.width + column) * channels;
      out.data.set(picture.data.subarray(from, from + channels), (y * width + x) * channels);
    });
  });
  return out;
}

function sampled(outputs: number, start: number, end: number): number[] {
  const step = Math.fround(end - start) / outputs;
  let at = start + step * 0.5;
  // summed up and not multiplied: rounding then falls as it does in Pillow
  return Array.from({ length: outputs }, () => {
    const index = Math.floor(at);
    at += step;
    return index;
  });
}

interface Taps {
  readonly first: number;
  readonly weights: Int32Array;
}

/** For each output the inputs that it mixes. */
function taps(length: number, start: number, end: number, outputs: number, filter: Filter): Taps[] {
  const scale = Math.fround(end - start) / outputs;
  const spread = Math.max(scale, 1);
  const support = filter.support * spread;
  return Array.from({ length: outputs }, (_, output) => {
    const centre = start + (output + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = Array.from({ length: last - first }, (__, at) =>
      filter.weight((at + first - centre + 0.5) * (1 / spread)),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: Int32Array.from(weights, (weight) => fixed(total === 0 ? weight : weight * (1 / total))) };
  });
}

function fixed(weight: number): number {
  return Math.trunc(weight * ONE + (weight < 0 ? -0.5 : 0.5));
}

function eightBit(sum: number): number {
  return Math.min(255, Math.max(0, Math.floor(sum / ONE)));
}

function alongRows(picture: Pixels, columns: readonly Taps[]): Pixels {
  const { channels } = picture;
  const out = blank(picture.height, columns.length, channels);
  for (let y = 0; y < picture.height; y++) {
    columns.forEach(({ first, weights }, x) => {
      for (let c = 0; c < channels; c++) {
        const from = (y * picture.width + first) * channels + c;
        let sum = HALF;
        for (let tap = 0; tap < weights.length; tap++) sum += picture.data[from + tap * channels]! * weights[tap]!;
        out.data[(y * columns.length + x) * channels + c] = eightBit(sum);
      }
    });
  }
  return out;
}

function alongColumns(picture: Pixels, rows: readonly Taps[]): Pixels {
  const out = blank(rows.length, picture.width, picture.channels);
  const run = picture.width * picture.channels;
  rows.forEach(({ first, weights }, y) => {
    for (let at = 0; at < run; at++) {
      let sum = HALF;
      for (let tap = 0; tap < weights.length; tap++) sum += picture.data[(first + tap) * run + at]! * weights[tap]!;
      out.data[y * run + at] = eightBit(sum);
    }
  });
  return out;
}

/** Colour times alpha, so that what cannot be seen does not bleed into its neighbours. */
function premultiplied(picture: Pixels): Pixels {
  return withAlpha(picture, (value, alpha) => {
    const product = value * alpha + 128;
    return ((product >> 8) + product) >> 8;
  });
}

function straight(picture: Pixels): Pixels {
  return withAlpha(picture, (value, alpha) => {
    return alpha === 0 || alpha === 255 ? value : Math.min(255, Math.floor((255 * value) / alpha));
  });
}

function withAlpha(picture: Pixels, mixed: (value: number, alpha: number) => number): Pixels {
  const { channels } = picture;
  const data = picture.data.map((value, at) => {
    const alpha = at - (at % channels) + channels - 1;
    return at === alpha ? value : mixed(value, picture.data[alpha]!);
  });
  return { ...picture, data };
}
