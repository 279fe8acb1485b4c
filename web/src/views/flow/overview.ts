/** How finely the maps of an overview are asked for. */

import { mapShape } from "./answers.ts";
import type { Shown } from "./groups.ts";

/** A frame is to be at most so large. */
export const MOST_BYTES = 500_000;
/** Cells a side, finest first; the tiles of large networks are as small as the last. */
const SIDES = [56, 28, 20, 14] as const;

/** The finest side with which all maps together stay small enough. */
export function sideFor(shown: readonly Shown[]): number {
  return SIDES.find((side) => bytesOf(shown, side) <= MOST_BYTES) ?? SIDES[3];
}

/** Bytes of the maps of everything that is shown. */
export function bytesOf(shown: readonly Shown[], side: number): number {
  return shown.reduce((sum, { node }) => {
    const [channels, rows, columns] = mapShape(node.shape);
    const step = Math.max(1, Math.ceil(Math.max(rows, columns) / side));
    return sum + channels * Math.ceil(rows / step) * Math.ceil(columns / step);
  }, 0);
}
