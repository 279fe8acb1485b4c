/** Where things lie on the timeline: snapshots stand at even distances, whatever steps lie between them. */

import { type History, lastUpTo, valueUpTo } from "./history.ts";

/** The place of a step, 0..1; between two snapshots in proportion. */
export function place(snapshots: number[], step: number): number {
  if (snapshots.length < 2) return 0;
  const below = lastUpTo(snapshots, step);
  if (below < 0) return 0;
  const from = snapshots[below] ?? 0;
  const to = snapshots[below + 1];
  const share = to === undefined ? 0 : (step - from) / (to - from);
  return Math.min((below + share) / (snapshots.length - 1), 1);
}

/** The loss as an SVG path in a square of 100, from its largest value (top) to its smallest. */
export function lossLine(history: History): string {
  const losses = history.snapshots.map((step) => valueUpTo(history.step, history.loss, step));
  const known = losses.filter((loss) => Number.isFinite(loss));
  const high = Math.max(...known);
  const spread = high - Math.min(...known) || 1;
  let path = "";
  for (const [index, loss] of losses.entries()) {
    if (!Number.isFinite(loss)) continue;
    const x = (100 * index) / Math.max(losses.length - 1, 1);
    path += `${path ? "L" : "M"}${x.toFixed(2)} ${((100 * (high - loss)) / spread).toFixed(2)}`;
  }
  return path;
}
