/** Points on their way from one layout to the next. */

export const SECONDS = 0.6;

/** Slow, fast, slow: 0..1 to 0..1 (smoothstep). */
export const eased = (share: number): number => {
  const t = Math.min(Math.max(share, 0), 1);
  return t * t * (3 - 2 * t);
};

/** Places between two layouts, written into `out`. */
export function between(from: Float32Array, to: Float32Array, share: number, out: Float32Array): Float32Array {
  for (let at = 0; at < to.length; at++) out[at] = from[at]! + (to[at]! - from[at]!) * share;
  return out;
}

/** Where the same images lay before; images that are new start where they end. */
export function matched(ids: readonly string[], to: Float32Array, before: readonly string[], from: Float32Array): Float32Array {
  if (ids === before || (ids.length === before.length && ids.every((id, index) => id === before[index]))) return from.slice();
  const place = new Map(before.map((id, index) => [id, index]));
  const out = to.slice();
  ids.forEach((id, index) => {
    const was = place.get(id);
    if (was === undefined) return;
    out[2 * index] = from[2 * was]!;
    out[2 * index + 1] = from[2 * was + 1]!;
  });
  return out;
}
