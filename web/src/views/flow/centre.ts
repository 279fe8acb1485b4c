/**
 * A drawn digit as MNIST's digits were made: cut out, scaled with its proportions into 20 x 20 pixels (antialiased),
 * and laid into 28 x 28 so that its centre of mass is in the middle (LeCun et al. 1998, Gradient-based learning applied
 * to document recognition).
 */

export const FRAME = 28;
export const INNER = 20;
/** Fainter ink does not count for where a drawing ends. */
const FAINT = 16;

export interface Ink {
  /** 0 for paper to 255 for ink, row by row. */
  values: Uint8Array;
  rows: number;
  columns: number;
}

export interface Centred {
  /** uint8, FRAME x FRAME. */
  values: Uint8Array;
  /** What was cut out of the drawing: top, left, bottom, right. */
  box: [number, number, number, number];
  /** Centre of mass in the drawing: row, column. */
  mass: [number, number];
  /** How much smaller it became. */
  scale: number;
}

/** null where nothing is drawn. */
export function centred(ink: Ink): Centred | null {
  const box = inkBox(ink);
  if (!box) return null;
  const [top, left, bottom, right] = box;
  const scale = INNER / Math.max(bottom - top, right - left);
  const rows = Math.max(1, Math.round((bottom - top) * scale));
  const columns = Math.max(1, Math.round((right - left) * scale));
  const small = full(averaged(ink, box, rows, columns));
  const [row, column] = massOf(small, rows, columns);
  const down = within(Math.round((FRAME - 1) / 2 - row), FRAME - rows);
  const across = within(Math.round((FRAME - 1) / 2 - column), FRAME - columns);
  const values = new Uint8Array(FRAME * FRAME);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) values[(y + down) * FRAME + x + across] = Math.round(small[y * columns + x] ?? 0);
  }
  const mass: [number, number] = [top + ((row + 0.5) / rows) * (bottom - top), left + ((column + 0.5) / columns) * (right - left)];
  return { values, box, mass, scale };
}

const within = (value: number, most: number): number => Math.min(Math.max(value, 0), most);

function inkBox({ values, rows, columns }: Ink): [number, number, number, number] | null {
  let [top, left, bottom, right] = [rows, columns, 0, 0];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if ((values[row * columns + column] ?? 0) < FAINT) continue;
      top = Math.min(top, row);
      bottom = row + 1;
      left = Math.min(left, column);
      right = Math.max(right, column + 1);
    }
  }
  return bottom ? [top, left, bottom, right] : null;
}

/** Means over the part of the drawing that falls into each cell: first along rows, then along columns. */
function averaged(ink: Ink, [top, left, bottom, right]: Centred["box"], rows: number, columns: number): Float64Array {
  const across = cover(left, right, columns);
  const down = cover(top, bottom, rows);
  const lines = new Float64Array((bottom - top) * columns);
  for (let row = top; row < bottom; row++) {
    across.forEach((taps, column) => {
      let sum = 0;
      for (const [at, weight] of taps) sum += (ink.values[row * ink.columns + at] ?? 0) * weight;
      lines[(row - top) * columns + column] = sum;
    });
  }
  const out = new Float64Array(rows * columns);
  down.forEach((taps, row) => {
    for (const [at, weight] of taps) {
      for (let column = 0; column < columns; column++) {
        out[row * columns + column] = (out[row * columns + column] ?? 0) + (lines[(at - top) * columns + column] ?? 0) * weight;
      }
    }
  });
  return out;
}

/** For each of `count` equal cells of start..stop, the pixels in it and the share of the cell that each covers. */
function cover(start: number, stop: number, count: number): [number, number][][] {
  const length = (stop - start) / count;
  return Array.from({ length: count }, (_, index) => {
    const [from, to] = [start + index * length, start + (index + 1) * length];
    const taps: [number, number][] = [];
    for (let at = Math.floor(from); at < Math.min(Math.ceil(to), stop); at++) {
      taps.push([at, (Math.min(at + 1, to) - Math.max(at, from)) / length]);
    }
    return taps;
  });
}

/** As black as a digit's darkest pixel: a thin pen would otherwise fade away. */
function full(values: Float64Array): Float64Array {
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  return most ? values.map((value) => (value / most) * 255) : values;
}

function massOf(values: Float64Array, rows: number, columns: number): [number, number] {
  let [total, down, across] = [0, 0, 0];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = values[row * columns + column] ?? 0;
      total += value;
      down += value * row;
      across += value * column;
    }
  }
  return [down / total, across / total];
}
