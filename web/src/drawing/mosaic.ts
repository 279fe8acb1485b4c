/** Many maps side by side as one picture: every cell a square of whole pixels, all maps in one pass over bytes. */

import { DIVERGING, LEVELS, SEQUENTIAL } from "./colours.ts";
import { isSigned, type MapOfNumbers, type Range } from "./maps.ts";

/** Where the tiles lie, in pixels. */
export interface Layout {
  count: number;
  /** Cells of a map; those of maps larger than the room are averaged in squares of `shrink` a side. */
  rows: number;
  columns: number;
  shrink: number;
  /** Pixels of a drawn cell's side. */
  scale: number;
  across: number;
  tileWidth: number;
  tileHeight: number;
  gap: number;
  width: number;
  height: number;
}

export interface LayoutOptions {
  /** The longer side that a tile is to come near to, by whole cells. */
  side?: number;
  gap?: number;
  /** Pixels that a cell's side has at most: maps of few cells need not fill the side. */
  cell?: number;
  /** Tiles in a row; as many as there is room for when not given. */
  across?: number;
}

const TOLERANCE = 1.4; // of the wished side, before cells are averaged

export function layout(count: number, rows: number, columns: number, room: number, options: LayoutOptions = {}): Layout {
  const { side = 64, gap = 2, cell = 12 } = options;
  const longer = Math.max(rows, columns, 1);
  const limit = Math.max(1, Math.min(TOLERANCE * side, room));
  const shrink = longer <= limit ? 1 : Math.ceil(longer / limit);
  const cells = [Math.ceil(rows / shrink), Math.ceil(columns / shrink)] as const;
  const scale = Math.max(1, Math.min(Math.round(side / Math.max(...cells, 1)), cell));
  const [tileHeight, tileWidth] = [cells[0] * scale, cells[1] * scale];
  const fitting = Math.max(1, Math.floor((room + gap) / (tileWidth + gap)));
  const across = Math.max(1, Math.min(options.across ?? fitting, Math.max(count, 1)));
  const down = Math.ceil(count / across);
  return {
    count, rows, columns, shrink, scale, across, tileWidth, tileHeight, gap,
    width: Math.max(across * (tileWidth + gap) - gap, 1),
    height: Math.max(down * (tileHeight + gap) - gap, 1),
  };
}

/** The upper left corner of a tile. */
export function corner(layout: Layout, index: number): { x: number; y: number } {
  return {
    x: (index % layout.across) * (layout.tileWidth + layout.gap),
    y: Math.floor(index / layout.across) * (layout.tileHeight + layout.gap),
  };
}

export interface Hit {
  index: number;
  row: number;
  column: number;
}

/** The tile and the map's cell at a pixel; null between tiles. */
export function hit(layout: Layout, x: number, y: number): Hit | null {
  const column = Math.floor(x / (layout.tileWidth + layout.gap));
  const index = Math.floor(y / (layout.tileHeight + layout.gap)) * layout.across + column;
  if (x < 0 || y < 0 || column >= layout.across || index >= layout.count) return null;
  const { x: left, y: top } = corner(layout, index);
  if (x - left >= layout.tileWidth || y - top >= layout.tileHeight) return null;
  const cell = (at: number): number => Math.floor(at / layout.scale) * layout.shrink;
  return { index, row: cell(y - top), column: cell(x - left) };
}

/** Packed RGBA colours of a colour map, in the byte order of this machine. */
const packed = (map: Uint8Array): Uint32Array => {
  const bytes = new Uint8Array(4 * LEVELS);
  for (let level = 0; level < LEVELS; level++) bytes.set([map[3 * level]!, map[3 * level + 1]!, map[3 * level + 2]!, 255], 4 * level);
  return new Uint32Array(bytes.buffer);
};
const SEQUENTIAL_WORDS = packed(SEQUENTIAL);
const DIVERGING_WORDS = packed(DIVERGING);

/**
 * RGBA pixels of all maps, between them nothing. `ranges` gives what the colour map spans (see `drawnRange`) for each;
 * where a map is null its place stays empty.
 */
export function mosaic(
  maps: readonly (MapOfNumbers | null)[],
  layout: Layout,
  ranges: (index: number) => Range,
): Uint8ClampedArray<ArrayBuffer> {
  const out = new Uint32Array(layout.width * layout.height);
  let colours = new Uint32Array(256);
  let coloured = "";
  for (const [index, map] of maps.entries()) {
    if (!map) continue;
    const range = ranges(index);
    if (map.values instanceof Uint8Array && layout.shrink === 1) {
      const key = `${map.low} ${map.high} ${range.low} ${range.high}`;
      // maps of one layer mostly share their range: the table of its 256 values is made once
      if (key !== coloured) colours = byteColours(map, range);
      coloured = key;
      const { values, start } = map;
      draw(out, layout, index, (cell) => colours[values[start + cell]!]!);
    } else {
      const words = isSigned(range) ? DIVERGING_WORDS : SEQUENTIAL_WORDS;
      const cells = shrunk(map, layout.shrink);
      draw(out, layout, index, (cell) => words[level(cells[cell]!, range)]!);
    }
  }
  return new Uint8ClampedArray(out.buffer);
}

function byteColours(map: MapOfNumbers, range: Range): Uint32Array<ArrayBuffer> {
  const words = isSigned(range) ? DIVERGING_WORDS : SEQUENTIAL_WORDS;
  return Uint32Array.from({ length: 256 }, (_, byte) => words[level(map.low + (byte / 255) * (map.high - map.low), range)]!);
}

function level(value: number, range: Range): number {
  const share = (value - range.low) / (range.high - range.low || 1);
  return Math.round(Math.min(Math.max(share, 0), 1) * (LEVELS - 1)) || 0; // NaN is drawn as the lowest
}

/** Values of a map, averaged over squares of `side` cells; those at the edges over the cells that are there. */
function shrunk(map: MapOfNumbers, side: number): Float32Array {
  const rows = Math.ceil(map.rows / side);
  const columns = Math.ceil(map.columns / side);
  const sums = new Float32Array(rows * columns);
  const counts = new Float32Array(rows * columns);
  const scale = map.values instanceof Uint8Array ? (map.high - map.low) / 255 : 1;
  const offset = map.values instanceof Uint8Array ? map.low : 0;
  for (let row = 0; row < map.rows; row++) {
    for (let column = 0; column < map.columns; column++) {
      const at = Math.floor(row / side) * columns + Math.floor(column / side);
      sums[at]! += offset + scale * (map.values[map.start + row * map.columns + column] ?? 0);
      counts[at]! += 1;
    }
  }
  return sums.map((sum, at) => sum / counts[at]!);
}

function draw(out: Uint32Array, layout: Layout, index: number, colour: (cell: number) => number): void {
  const { x, y } = corner(layout, index);
  const { scale, width, tileWidth } = layout;
  const columns = tileWidth / scale;
  const rows = layout.tileHeight / scale;
  for (let row = 0; row < rows; row++) {
    const begin = (y + row * scale) * width + x;
    for (let column = 0; column < columns; column++) {
      const word = colour(row * columns + column);
      const at = begin + column * scale;
      for (let pixel = 0; pixel < scale; pixel++) out[at + pixel] = word;
    }
    for (let copy = 1; copy < scale; copy++) out.copyWithin(begin + copy * width, begin, begin + tileWidth);
  }
}

/** Rows and columns as which a vector is shown: the nearest to a square that leaves no cell over. */
export function vectorShape(length: number): [number, number] {
  for (let rows = Math.floor(Math.sqrt(length)); rows > 1; rows--) if (length % rows === 0) return [rows, length / rows];
  return [1, Math.max(length, 1)];
}
