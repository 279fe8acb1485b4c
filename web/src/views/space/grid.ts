/** Finding points by their place: cells of the plane, each with the points in it. */

export interface Grid {
  left: number;
  top: number;
  cell: number;
  columns: number;
  rows: number;
  /** The points of cell c are `members[starts[c]]` up to `members[starts[c + 1]]`. */
  starts: Int32Array;
  members: Int32Array;
}

/** About two points per cell where they lie evenly. Points whose place is not a number are in none. */
export function grid(positions: Float32Array): Grid {
  const count = positions.length >> 1;
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let index = 0; index < count; index++) {
    const x = positions[2 * index]!;
    const y = positions[2 * index + 1]!;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  if (left > right) [left, right, top, bottom] = [0, 1, 0, 1];
  const [width, height] = [Math.max(right - left, 1e-9), Math.max(bottom - top, 1e-9)];
  const cell = Math.max(Math.sqrt((2 * width * height) / Math.max(count, 1)), Math.max(width, height) / 1000);
  const columns = Math.floor(width / cell) + 1;
  const rows = Math.floor(height / cell) + 1;
  const place = new Int32Array(count).fill(-1);
  const starts = new Int32Array(rows * columns + 1);
  for (let index = 0; index < count; index++) {
    const x = positions[2 * index]!;
    const y = positions[2 * index + 1]!;
    if (!Number.isFinite(x + y)) continue;
    place[index] = Math.floor((y - top) / cell) * columns + Math.floor((x - left) / cell);
    starts[place[index]! + 1]! += 1;
  }
  for (let at = 0; at < rows * columns; at++) starts[at + 1]! += starts[at]!;
  const next = starts.slice();
  const members = new Int32Array(starts[rows * columns]!);
  for (let index = 0; index < count; index++) if (place[index]! >= 0) members[next[place[index]!]!++] = index;
  return { left, top, cell, columns, rows, starts, members };
}

/** Every point in the cells that a box of the plane touches. */
export function* inCells(found: Grid, left: number, top: number, right: number, bottom: number): Generator<number> {
  const bound = (value: number, most: number): number => Math.min(Math.max(Math.floor(value), 0), most);
  const [first, last] = [bound((left - found.left) / found.cell, found.columns - 1), bound((right - found.left) / found.cell, found.columns - 1)];
  const [upper, lower] = [bound((top - found.top) / found.cell, found.rows - 1), bound((bottom - found.top) / found.cell, found.rows - 1)];
  for (let row = upper; row <= lower; row++) {
    for (let column = first; column <= last; column++) {
      const at = row * found.columns + column;
      for (let k = found.starts[at]!; k < found.starts[at + 1]!; k++) yield found.members[k]!;
    }
  }
}

/** The nearest point within a distance in the plane, of those that may be picked; -1: none. */
export function nearest(
  found: Grid, positions: Float32Array, x: number, y: number, within: number, allowed: (index: number) => boolean,
): number {
  let best = -1;
  let least = within * within;
  for (const index of inCells(found, x - within, y - within, x + within, y + within)) {
    const distance = (positions[2 * index]! - x) ** 2 + (positions[2 * index + 1]! - y) ** 2;
    if (distance <= least && allowed(index)) [best, least] = [index, distance];
  }
  return best;
}

/** The next point in a direction (dx, dy), for keys: near and straight ahead counts; -1: there is none. */
export function towards(
  positions: Float32Array, from: number, dx: number, dy: number, allowed: (index: number) => boolean,
): number {
  const [x, y] = [positions[2 * from]!, positions[2 * from + 1]!];
  let best = -1;
  let least = Infinity;
  for (let index = 0; index < positions.length >> 1; index++) {
    const [right, down] = [positions[2 * index]! - x, positions[2 * index + 1]! - y];
    const ahead = right * dx + down * dy;
    const aside = Math.abs(right * dy - down * dx);
    if (index === from || !(ahead > 0) || aside > 2 * ahead) continue;
    const cost = ahead + 2 * aside;
    if (cost < least && allowed(index)) [best, least] = [index, cost];
  }
  return best;
}
