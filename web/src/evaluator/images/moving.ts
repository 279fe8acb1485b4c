/** A picture as the network gets it, moved: the twin of `opsin.reporting.views.moving`. */

import { blank, type Pixels } from "./pixels.ts";

export interface Move {
  /** Down and right, in pixels of the network's input. */
  readonly shift: readonly [number, number];
  /** Degrees, counter-clockwise as seen. */
  readonly rotate: number;
  readonly scale: number;
}

export const STILL: Move = { shift: [0, 0], rotate: 0, scale: 1 };

/**
 * The value at (row, column) is that of the picture at R(rotate) (row - middle - shift) / scale + middle, between
 * pixels by bilinear interpolation, rounded to the nearest. What comes in from outside repeats the edge.
 */
export function moved(picture: Pixels, move: Move): Pixels {
  if (move.shift[0] === 0 && move.shift[1] === 0 && move.rotate === 0 && move.scale === 1) return picture;
  const { height, width, channels } = picture;
  const out = blank(height, width, channels);
  const angle = (move.rotate * Math.PI) / 180;
  const [cosine, sine] = [Math.cos(angle) / move.scale, Math.sin(angle) / move.scale];
  const [middleRow, middleColumn] = [(height - 1) / 2, (width - 1) / 2];
  for (let y = 0; y < height; y++) {
    const row = y - middleRow - move.shift[0];
    for (let x = 0; x < width; x++) {
      const column = x - middleColumn - move.shift[1];
      const fromRow = within(sine * column + cosine * row + middleRow, height - 1);
      const fromColumn = within(cosine * column - sine * row + middleColumn, width - 1);
      blend(picture, fromRow, fromColumn, out.data, (y * width + x) * channels);
    }
  }
  return out;
}

function within(value: number, last: number): number {
  return Math.min(last, Math.max(0, value));
}

function blend(picture: Pixels, row: number, column: number, out: Uint8Array, at: number): void {
  const { height, width, channels, data } = picture;
  const [top, left] = [Math.floor(row), Math.floor(column)];
  const [bottom, right] = [Math.min(top + 1, height - 1), Math.min(left + 1, width - 1)];
  const [down, across] = [row - top, column - left];
  for (let c = 0; c < channels; c++) {
    const pixel = (y: number, x: number): number => data[(y * width + x) * channels + c]!;
    const above = pixel(top, left) * (1 - across) + pixel(top, right) * across;
    const below = pixel(bottom, left) * (1 - across) + pixel(bottom, right) * across;
    out[at + c] = Math.floor(above * (1 - down) + below * down + 0.5);
  }
}
