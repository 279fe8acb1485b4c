/** Answers of `steps` for tests: a training of so many lines. */

import type { StepsAnswer } from "../../../src/parts/timeline/history.ts";
import { array, type NdArray } from "../../../src/protocol/wire.ts";

export const floats = (...values: number[]): NdArray<Float32Array> => array(Float32Array.from(values)) as NdArray<Float32Array>;
export const integers = (...values: number[]): NdArray<Int32Array> => array(Int32Array.from(values)) as NdArray<Int32Array>;

/** Lines `first..last-1` at steps 0, 10, 20, ...; every third one counts dead channels and stands at a snapshot. */
export function lines(first: number, last: number, more: Partial<StepsAnswer> = {}): StepsAnswer {
  const rows = Array.from({ length: last - first }, (_, index) => first + index);
  const counted = rows.map((row) => (row % 3 === 0 ? row / 3 : NaN));
  return {
    start: first,
    rows: last,
    step: integers(...rows.map((row) => 10 * row)),
    loss: floats(...rows.map((row) => (row ? 4 / row : NaN))),
    lr: floats(...rows.map(() => 0.5)),
    // a layer that begins to learn later has no values before
    gradient_norms: { conv: floats(...rows.map((row) => row + 3)), ...(last > 4 ? { late: floats(...rows.map((row) => (row > 4 ? 4 : NaN))) } : {}) },
    update_ratios: {},
    dead: { conv: { count: floats(...counted), total: 8 } },
    saturated: {},
    events: rows.filter((row) => row === 2).map((row) => ({ step: 10 * row, kind: "dead", grave: false, message: "dead", layer: "conv", channels: [1], count: 1 })),
    alarms: [],
    epochs: {
      epoch: integers(1, 2), step: integers(20, 40), train_loss: floats(3, 2), loss: floats(2.5, 1.5),
      train_accuracy: floats(0.5, 0.75), accuracy: floats(0.25, 0.5), lr: floats(0.5, 0.5),
    },
    snapshots: integers(...Array.from({ length: Math.ceil(last / 3) }, (_, index) => 30 * index)),
    last: Math.max(0, 10 * (last - 1)),
    planned: null,
    status: "running",
    ...more,
  };
}
