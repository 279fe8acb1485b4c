/** Curves in the unit square as paths, and where a threshold lies on them. */

import type { NdArray } from "../../protocol/wire.ts";

export type Point = readonly [number, number];

/** The first two columns of `(points, 3)`. */
export function pointsOf(curve: NdArray<Float32Array>): Point[] {
  const width = curve.shape[1] ?? 1;
  return Array.from({ length: curve.shape[0] ?? 0 }, (_, row) => [curve.data[row * width]!, curve.data[row * width + 1]!] as const);
}

/** An SVG path of points in the unit square, y upwards; `steps`: level first, then up, as a curve of thresholds runs. */
export function path(points: readonly Point[], side: number): string {
  return points.map(([x, y], index) => `${index ? "L" : "M"}${(x * side).toFixed(1)} ${((1 - y) * side).toFixed(1)}`).join("");
}

/**
 * Where on a curve an image is called the class from `threshold` on: the last point whose threshold is at least as
 * high, along rising first columns. Its thresholds fall from point to point.
 */
export function atThreshold(curve: NdArray<Float32Array>, threshold: number): Point | null {
  const width = curve.shape[1] ?? 1;
  let found: Point | null = null;
  for (let row = 0; row < (curve.shape[0] ?? 0); row++) {
    if (curve.data[row * width + 2]! < threshold - 1e-6) break;
    found = [curve.data[row * width]!, curve.data[row * width + 1]!];
  }
  return found;
}

export interface Bin {
  confidence: number;
  accuracy: number;
  count: number;
}

/** The bins of a reliability table that hold images. */
export function bins(table: NdArray<Float32Array>): Bin[] {
  const found: Bin[] = [];
  for (let row = 0; row < (table.shape[0] ?? 0); row++) {
    const [confidence, accuracy, count] = [table.data[3 * row]!, table.data[3 * row + 1]!, table.data[3 * row + 2]!];
    if (count > 0) found.push({ confidence, accuracy, count });
  }
  return found;
}
