/** All maps of a layer on one canvas. */

import { drawnRange, type MapOfNumbers, pixels, type Range } from "../../drawing/maps.ts";
import type { Box, LayerMaps } from "./answers.ts";
import { isVector, placesOf, tileAt, type Tiling } from "./tiles.ts";

/** One channel of a layer as a map. */
export function mapOf(maps: LayerMaps, channel: number): MapOfNumbers {
  const [, rows = 1, columns = 1] = maps.values.shape;
  return {
    values: maps.values.data,
    start: channel * rows * columns,
    rows,
    columns,
    low: maps.low.data[channel] ?? 0,
    high: maps.high.data[channel] ?? 0,
  };
}

/** From the smallest to the largest value of a layer. */
export function layerRange(maps: LayerMaps): Range {
  let [low, high] = [Infinity, -Infinity];
  for (const value of maps.low.data) low = Math.min(low, value);
  for (const value of maps.high.data) high = Math.max(high, value);
  return { low, high };
}

export function rangeOfAll(layers: Iterable<LayerMaps>): Range {
  const ranges = [...layers].map(layerRange);
  return { low: Math.min(...ranges.map((range) => range.low)), high: Math.max(...ranges.map((range) => range.high)) };
}

/**
 * Draw the tiles. `range` is that of all maps; null: each has its own. Maps smaller than their tiles show their cells,
 * larger ones are averaged.
 */
export function paintTiles(canvas: HTMLCanvasElement, maps: LayerMaps, tiling: Tiling, range: Range | null, dpr: number): void {
  const context = sized(canvas, tiling, dpr);
  if (!context) return;
  if (isVector(tiling.shape)) {
    paintCells(context, maps, tiling, drawnRange(range ?? layerRange(maps)));
    return;
  }
  const [count, rows = 1, columns = 1] = maps.values.shape as [number, number, number];
  const stamp = document.createElement("canvas");
  stamp.width = columns;
  stamp.height = rows;
  const press = stamp.getContext("2d");
  context.imageSmoothingEnabled = tiling.tileWidth * dpr < columns;
  for (let channel = 0; channel < count; channel++) {
    if (maps.held && !maps.held.has(channel)) continue;
    const map = mapOf(maps, channel);
    press?.putImageData(new ImageData(pixels(map, drawnRange(range ?? map)), columns, rows), 0, 0);
    const { left, top, width, height } = tileAt(tiling, channel);
    context.drawImage(stamp, left, top, width, height);
  }
}

/** Single numbers: a cell for each, drawn as one small picture. The last row is filled up with nothing. */
function paintCells(context: CanvasRenderingContext2D, maps: LayerMaps, tiling: Tiling, range: Range): void {
  const count = tiling.shape[0];
  const rows = Math.ceil(count / tiling.columns);
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    const [low, high] = [maps.low.data[index] ?? 0, maps.high.data[index] ?? 0];
    values[index] = maps.values.dtype === "uint8" ? low + ((maps.values.data[index] ?? 0) / 255) * (high - low) : (maps.values.data[index] ?? 0);
  }
  const rgba = new Uint8ClampedArray(4 * rows * tiling.columns);
  rgba.set(pixels({ values, start: 0, rows: 1, columns: count, low: 0, high: 0 }, range));
  const stamp = document.createElement("canvas");
  stamp.width = tiling.columns;
  stamp.height = rows;
  stamp.getContext("2d")?.putImageData(new ImageData(rgba, tiling.columns, rows), 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(stamp, 0, 0, tiling.columns * tiling.tileWidth, rows * tiling.tileHeight);
}

/** Light up a box of units: what lies outside of it is darkened. */
export function paintBox(canvas: HTMLCanvasElement, tiling: Tiling, box: Box | null, dpr: number): void {
  const context = sized(canvas, tiling, dpr);
  if (!context || !box) return;
  const places = placesOf(tiling, box);
  context.fillStyle = "rgb(0 0 0 / 48%)";
  context.fillRect(0, 0, tiling.width, tiling.height);
  for (const { left, top, width, height } of places) context.clearRect(left, top, Math.max(width, 1), Math.max(height, 1));
  const first = places[0];
  // on tiles of few pixels lines would hide what they frame, and a whole tile needs none
  const whole = first && first.width * first.height > 0.9 * tiling.tileWidth * tiling.tileHeight;
  if (places.length > 1 && (whole || tiling.tileWidth < 12)) return;
  context.lineWidth = 1;
  for (const { left, top, width, height } of places) {
    context.strokeStyle = "rgb(0 0 0 / 70%)";
    context.strokeRect(left - 1, top - 1, width + 2, height + 2);
    context.strokeStyle = "#fff";
    context.strokeRect(left - 0.5, top - 0.5, width + 1, height + 1);
  }
}

function sized(canvas: HTMLCanvasElement, tiling: Tiling, dpr: number): CanvasRenderingContext2D | null {
  const [width, height] = [Math.max(1, Math.round(tiling.width * dpr)), Math.max(1, Math.round(tiling.height * dpr))];
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  context?.setTransform(dpr, 0, 0, dpr, 0, 0);
  context?.clearRect(0, 0, tiling.width, tiling.height);
  return context;
}
