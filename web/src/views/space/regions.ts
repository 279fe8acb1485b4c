/** Which points lie in a drawn region of the plane. */

export type Place = readonly [number, number];

/** Even-odd rule (Shimrat 1962): a line from the point outwards crosses the outline an odd number of times. */
export function inside(outline: readonly Place[], x: number, y: number): boolean {
  let odd = false;
  for (let at = 0, before = outline.length - 1; at < outline.length; before = at++) {
    const [ax, ay] = outline[at]!;
    const [bx, by] = outline[before]!;
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

export const rectangle = ([ax, ay]: Place, [bx, by]: Place): Place[] => [[ax, ay], [bx, ay], [bx, by], [ax, by]];

/** The points inside an outline, of those that may be chosen, in their order. */
export function pointsInside(positions: Float32Array, outline: readonly Place[], allowed: (index: number) => boolean): number[] {
  if (outline.length < 3) return [];
  const xs = outline.map(([x]) => x);
  const ys = outline.map(([, y]) => y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const found: number[] = [];
  for (let index = 0; index < positions.length >> 1; index++) {
    const x = positions[2 * index]!;
    const y = positions[2 * index + 1]!;
    if (x < left || x > right || y < top || y > bottom || !allowed(index)) continue;
    if (inside(outline, x, y)) found.push(index);
  }
  return found;
}
