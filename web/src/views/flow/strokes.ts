/** What a person draws: strokes, and the ink that they leave. */

import type { Ink } from "./centre.ts";

export interface Stroke {
  points: [number, number][];
  width: number;
  erases: boolean;
}

/** The drawing is 280 x 280 units, ten to a pixel of the digit; pens are as wide as MNIST's thin, usual and thick strokes. */
export const SIDE = 280;
export const PENS = { thin: 14, usual: 22, thick: 34 } as const;
export type Pen = keyof typeof PENS;

/** Draw strokes on a context that is SIDE x SIDE units large. */
export function paintStrokes(context: CanvasRenderingContext2D, strokes: readonly Stroke[], colour: string): void {
  context.clearRect(0, 0, SIDE, SIDE);
  context.lineCap = "round";
  context.lineJoin = "round";
  context.strokeStyle = colour;
  for (const { points, width, erases } of strokes) {
    context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    context.lineWidth = width;
    context.beginPath();
    const [first, ...rest] = points;
    if (!first) continue;
    context.moveTo(first[0], first[1]);
    // a point is a line of no length: with round caps it leaves a dot
    for (const [x, y] of rest.length ? rest : [first]) context.lineTo(x, y);
    context.stroke();
  }
  context.globalCompositeOperation = "source-over";
}

/** Ink 0 to 255 of strokes, from how opaque a canvas became. */
export function inkOf(strokes: readonly Stroke[]): Ink | null {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  paintStrokes(context, strokes, "#000");
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const values = new Uint8Array(SIDE * SIDE);
  for (let index = 0; index < values.length; index++) values[index] = data[4 * index + 3] ?? 0;
  return { values, rows: SIDE, columns: SIDE };
}
