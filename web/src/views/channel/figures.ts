/** Figures of a channel as SVG geometry. */

import type { NdArray } from "../../protocol/wire.ts";

export interface Bar {
  x: number;
  y: number;
  width: number;
  height: number;
  from: number;
  to: number;
  count: number;
}

/** Bars of a histogram. Heights follow the square root of the counts: the rare large answers are what one looks for. */
export function bars(counts: NdArray<Int32Array>, low: number, high: number, width: number, height: number): Bar[] {
  const most = Math.max(...counts.data, 1);
  const step = (high - low) / Math.max(counts.data.length, 1);
  const wide = width / Math.max(counts.data.length, 1);
  return Array.from(counts.data, (count, at) => {
    const tall = Math.sqrt(count / most) * height;
    return { x: at * wide, y: height - tall, width: Math.max(wide - 1, 1), height: tall, from: low + at * step, to: low + (at + 1) * step, count };
  });
}

export interface Mean {
  index: number;
  mean: number;
  share: number;
}

/** The classes with the largest means, largest first; `share` of the largest. Classes without images are left out. */
export function largestMeans(means: ArrayLike<number>, most: number): Mean[] {
  const known = Array.from(means, (mean, index) => ({ index, mean })).filter(({ mean }) => !Number.isNaN(mean));
  known.sort((a, b) => b.mean - a.mean || a.index - b.index);
  const top = known[0]?.mean ?? 0;
  return known.slice(0, most).map(({ index, mean }) => ({ index, mean, share: top > 0 ? mean / top : 0 }));
}

export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A box (top, left, bottom, right) of row `at` in per cent of a picture of this size. */
export function frame(boxes: NdArray<Int32Array>, at: number, rows: number, columns: number): Frame {
  const [top = 0, left = 0, bottom = 0, right = 0] = boxes.data.subarray(4 * at, 4 * at + 4);
  const [y0, x0] = [Math.max(top, 0), Math.max(left, 0)];
  const [y1, x1] = [Math.min(bottom, rows), Math.min(right, columns)];
  return { left: (100 * x0) / columns, top: (100 * y0) / rows, width: (100 * (x1 - x0)) / columns, height: (100 * (y1 - y0)) / rows };
}

/** A line over equally spaced values in a box, and the y of some other values on the same scale. */
export function line(values: ArrayLike<number>, others: readonly number[], width: number, height: number): { path: string; levels: number[] } {
  const all = [...Array.from(values), ...others, 0];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const y = (value: number): number => (high === low ? height / 2 : 2 + (1 - (value - low) / (high - low)) * (height - 4));
  const step = width / Math.max(values.length - 1, 1);
  const points = Array.from(values, (value, at) => `${(at * step).toFixed(1)} ${y(value).toFixed(1)}`);
  return { path: points.length ? `M${points.join("L")}` : "", levels: others.map(y) };
}

/** The channel `by` further on, around the ends. */
export const stepped = (channel: number, by: number, count: number): number => (((channel + by) % count) + count) % count;
