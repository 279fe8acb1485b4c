/** How much an overview of all layers weighs. */

import { mapShape } from "./answers.ts";
import type { Shown } from "./groups.ts";

/** A frame is to be at most so large; above, the small tiles are asked for smaller. */
export const MOST_BYTES = 500_000;
export const SMALL_SIDE = 28;
const SIDE = 56;

/** Bytes of the maps of everything that is shown, at the usual side. */
export function bytesOf(shown: readonly Shown[], side = SIDE): number {
  return shown.reduce((sum, { node }) => {
    const [channels, rows, columns] = mapShape(node.shape);
    const step = Math.max(1, Math.ceil(Math.max(rows, columns) / side));
    return sum + channels * Math.ceil(rows / step) * Math.ceil(columns / step);
  }, 0);
}
