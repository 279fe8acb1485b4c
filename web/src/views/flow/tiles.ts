/** All maps of a layer side by side: where each lies, and what lies under a point. */

import type { Box, Unit } from "./answers.ts";

export interface Tiling {
  /** Channels, rows and columns of the layer as it is, however coarsely it was sent. */
  shape: Unit;
  columns: number;
  tileWidth: number;
  tileHeight: number;
  gap: number;
  width: number;
  height: number;
}

export interface Place {
  left: number;
  top: number;
  width: number;
  height: number;
}

const GAP = 2;
const LARGEST_CELL = 8;

/** The largest tiles with which all channels fit into width x height; single numbers lie close together as cells. */
export function tilingOf(shape: Unit, width: number, height: number, largest = 112): Tiling {
  const [channels, rows, columns] = shape;
  // a table of tokens and features has no proportions to keep: it fills the room
  if (channels === 1 && columns > 2 * rows) {
    return { shape, columns: 1, tileWidth: width, tileHeight: Math.min(height, width), gap: 0, width, height: Math.min(height, width) };
  }
  const single = rows === 1 && columns === 1;
  const gap = single || channels === 1 ? 0 : GAP;
  const most = single ? 2 * LARGEST_CELL : largest;
  let found: Tiling | null = null;
  for (let across = 1; across <= channels; across++) {
    const fitting = (width - gap * (across - 1)) / across;
    const tileWidth = whole(Math.min(fitting, most * Math.min(1, columns / rows)), columns);
    const tileHeight = (tileWidth * rows) / columns;
    const down = Math.ceil(channels / across);
    const high = down * (tileHeight + gap) - gap;
    // of tilings with equally large tiles the widest
    if (found && tileWidth < found.tileWidth) break;
    if (high <= height || tileWidth <= 1) {
      found = { shape, columns: across, tileWidth, tileHeight, gap, width: across * (tileWidth + gap) - gap, height: high };
    }
  }
  if (found) return found;
  const tile = Math.min(width, (height / rows) * columns);
  const tileHeight = Math.min((tile * rows) / columns, height);
  return { shape, columns: 1, tileWidth: tile, tileHeight, gap, width: tile, height: tileHeight };
}

/** Cells at whole multiples of a pixel where a cell has a pixel at all. */
const whole = (size: number, cells: number): number => (size >= cells ? Math.floor(size / cells) * cells : size);

export function tileAt(tiling: Tiling, channel: number): Place {
  const left = (channel % tiling.columns) * (tiling.tileWidth + tiling.gap);
  const top = Math.floor(channel / tiling.columns) * (tiling.tileHeight + tiling.gap);
  return { left, top, width: tiling.tileWidth, height: tiling.tileHeight };
}

/** The unit at a point, or null between the tiles. */
export function unitAt(tiling: Tiling, x: number, y: number): Unit | null {
  const [channels, rows, columns] = tiling.shape;
  const across = Math.floor(x / (tiling.tileWidth + tiling.gap));
  const down = Math.floor(y / (tiling.tileHeight + tiling.gap));
  const channel = down * tiling.columns + across;
  const column = Math.floor(((x - across * (tiling.tileWidth + tiling.gap)) / tiling.tileWidth) * columns);
  const row = Math.floor(((y - down * (tiling.tileHeight + tiling.gap)) / tiling.tileHeight) * rows);
  const inside = x >= 0 && y >= 0 && across < tiling.columns && channel < channels && row < rows && column < columns;
  return inside ? [channel, row, column] : null;
}

/** The rectangles of a box of units, one per channel in it. */
export function placesOf(tiling: Tiling, box: Box): Place[] {
  const [, rows, columns] = tiling.shape;
  const [first, last, top, bottom, left, right] = box;
  if (bottom <= top || right <= left) return [];
  const stop = Math.min(last, tiling.shape[0]);
  return Array.from({ length: Math.max(stop - first, 0) }, (_, index) => {
    const tile = tileAt(tiling, first + index);
    return {
      left: tile.left + (left / columns) * tile.width,
      top: tile.top + (top / rows) * tile.height,
      width: ((right - left) / columns) * tile.width,
      height: ((bottom - top) / rows) * tile.height,
    };
  });
}

export const isVector = (shape: Unit): boolean => shape[1] === 1 && shape[2] === 1;
