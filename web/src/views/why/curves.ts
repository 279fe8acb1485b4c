/** Curves of measures as SVG paths. */

import type { Curve } from "./types.ts";

export interface Line {
  name: string;
  path: string;
  last: number;
}

export interface Plot {
  lines: Line[];
  low: number;
  high: number;
  /** Where zero lies, in pixels. */
  zero: number;
}

/** The columns behind the first (the share) as lines over it; all share one scale, with zero in it. */
export function curveLines(curve: Curve, width: number, height: number): Plot {
  const [points = 0, columns = 1] = curve.points.shape;
  const at = (row: number, column: number): number => curve.points.data[row * columns + column] ?? 0;
  let [low, high] = [0, 0];
  for (let row = 0; row < points; row++) {
    for (let column = 1; column < columns; column++) {
      low = Math.min(low, at(row, column));
      high = Math.max(high, at(row, column));
    }
  }
  const [start, end] = [at(0, 0), at(points - 1, 0)];
  const x = (share: number): number => (end === start ? 0 : ((share - start) / (end - start)) * width);
  const y = (value: number): number => (high === low ? height / 2 : 2 + (1 - (value - low) / (high - low)) * (height - 4));
  const lines = Array.from({ length: columns - 1 }, (_, index): Line => {
    const steps = Array.from({ length: points }, (_, row) => `${x(at(row, 0)).toFixed(1)} ${y(at(row, index + 1)).toFixed(1)}`);
    return { name: curve.columns[index] ?? String(index), path: `M${steps.join("L")}`, last: at(points - 1, index + 1) };
  });
  return { lines, low, high, zero: y(0) };
}
