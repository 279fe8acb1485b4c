/** What was written down while a network learned, line by line: the answer of `steps`, and more of it as it comes. */

import type { NdArray } from "../../protocol/wire.ts";

type Floats = NdArray<Float32Array>;
type Integers = NdArray<Int32Array>;

export interface RunEvent {
  step: number;
  kind: string;
  /** What a person should be told at once. */
  grave: boolean;
  message: string;
  layer?: string | null;
  channels?: number[];
  count?: number;
  classes?: string[];
  best?: number | null;
  now?: number | null;
}

export interface StepsAnswer {
  start: number;
  rows: number;
  step: Integers;
  loss: Floats;
  lr: Floats;
  gradient_norms: Record<string, Floats>;
  update_ratios: Record<string, Floats>;
  dead: Record<string, { count: Floats; total: number }>;
  saturated: Record<string, { count: Floats; total: number }>;
  events: RunEvent[];
  alarms: RunEvent[];
  epochs: { epoch: Integers; step: Integers; train_loss: Floats; loss: Floats; train_accuracy: Floats; accuracy: Floats; lr: Floats };
  snapshots: Integers;
  last: number;
  planned: number | null;
  status: string;
}

/** Values of all lines; NaN where a line has none. */
export interface History {
  rows: number;
  step: Int32Array;
  loss: Float32Array;
  lr: Float32Array;
  gradients: Record<string, Float32Array>;
  updates: Record<string, Float32Array>;
  dead: Record<string, Counted>;
  saturated: Record<string, Counted>;
  /** In the order of steps; `alarms` are those of the epochs. */
  events: RunEvent[];
  alarms: RunEvent[];
  epochs: Epochs;
  /** Steps that have a snapshot, ascending. */
  snapshots: number[];
  last: number;
  planned: number | null;
  status: string;
}

export interface Counted {
  count: Float32Array;
  total: number;
}

export interface Epochs {
  epoch: Int32Array;
  step: Int32Array;
  trainLoss: Float32Array;
  loss: Float32Array;
  trainAccuracy: Float32Array;
  accuracy: Float32Array;
  lr: Float32Array;
}

const NO_COLUMNS = {
  rows: 0, step: new Int32Array(), loss: new Float32Array(), lr: new Float32Array(),
  gradients: {}, updates: {}, dead: {}, saturated: {}, events: [],
} as const;

/** What is known with an answer's lines behind those that were known; an answer from line 0 stands for itself. */
export function merged(before: History | null, answer: StepsAnswer): History {
  const kept = before && answer.start === before.rows ? before : NO_COLUMNS;
  const first = answer.start;
  const count = answer.step.data.length;
  const columns = (old: Record<string, Float32Array>, more: Record<string, Floats>): Record<string, Float32Array> =>
    Object.fromEntries(names(old, more).map((name) => [name, longer(old[name], more[name]?.data, first, count)]));
  const counted = (old: Record<string, Counted>, more: StepsAnswer["dead"]): Record<string, Counted> =>
    Object.fromEntries(
      names(old, more).map((name) => [
        name,
        { count: longer(old[name]?.count, more[name]?.count.data, first, count), total: more[name]?.total ?? old[name]?.total ?? 0 },
      ]),
    );
  const step = new Int32Array(first + count);
  step.set(kept.step);
  step.set(answer.step.data, first);
  const { epochs } = answer;
  return {
    rows: first + count,
    step,
    loss: longer(kept.loss, answer.loss.data, first, count),
    lr: longer(kept.lr, answer.lr.data, first, count),
    gradients: columns(kept.gradients, answer.gradient_norms),
    updates: columns(kept.updates, answer.update_ratios),
    dead: counted(kept.dead, answer.dead),
    saturated: counted(kept.saturated, answer.saturated),
    events: [...kept.events, ...answer.events],
    alarms: answer.alarms,
    epochs: {
      epoch: epochs.epoch.data, step: epochs.step.data, trainLoss: epochs.train_loss.data, loss: epochs.loss.data,
      trainAccuracy: epochs.train_accuracy.data, accuracy: epochs.accuracy.data, lr: epochs.lr.data,
    },
    snapshots: Array.from(answer.snapshots.data),
    last: answer.last,
    planned: answer.planned,
    status: answer.status,
  };
}

const names = (a: object, b: object): string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])];

function longer(old: Float32Array | undefined, more: Float32Array | undefined, first: number, count: number): Float32Array {
  const values = new Float32Array(first + count).fill(NaN);
  if (old) values.set(old.subarray(0, first));
  if (more) values.set(more, first);
  return values;
}

/** The position of the last entry of ascending numbers that is at most `value`; -1: none is. */
export function lastUpTo(ascending: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? Infinity) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The position of the entry nearest to a value; -1 of none. */
export function nearest(ascending: ArrayLike<number>, value: number): number {
  const below = Math.max(lastUpTo(ascending, value), 0);
  const above = Math.min(below + 1, ascending.length - 1);
  return Math.abs((ascending[above] ?? 0) - value) < Math.abs((ascending[below] ?? 0) - value) ? above : Math.min(below, above);
}

/** The newest known value of a column at a step; NaN before there is one. */
export function valueUpTo(steps: ArrayLike<number>, values: ArrayLike<number>, step: number): number {
  for (let at = lastUpTo(steps, step); at >= 0; at--) {
    const value = values[at] ?? NaN;
    if (!Number.isNaN(value)) return value;
  }
  return NaN;
}

/** What is told of one step: its numbers, or NaN. */
export interface Reading {
  epoch: number;
  loss: number;
  validationLoss: number;
  accuracy: number;
  lr: number;
  /** Gradient norms by layer, and of all layers together. */
  gradients: Record<string, number>;
  gradient: number;
  dead: number;
  channels: number;
  alarms: RunEvent[];
}

export function reading(history: History, step: number): Reading {
  const { epochs } = history;
  const of = (values: Float32Array): number => valueUpTo(history.step, values, step);
  const gradients = Object.fromEntries(Object.entries(history.gradients).map(([layer, values]) => [layer, of(values)]));
  const squares = Object.values(gradients).filter((norm) => !Number.isNaN(norm)).map((norm) => norm ** 2);
  const counts = Object.values(history.dead).map((entry) => ({ count: of(entry.count), total: entry.total }));
  const known = counts.filter((entry) => !Number.isNaN(entry.count));
  return {
    epoch: epochs.epoch[lastUpTo(epochs.step, step)] ?? 0,
    loss: of(history.loss),
    validationLoss: valueUpTo(epochs.step, epochs.loss, step),
    accuracy: valueUpTo(epochs.step, epochs.accuracy, step),
    lr: of(history.lr),
    gradients,
    gradient: squares.length ? Math.sqrt(squares.reduce((sum, square) => sum + square, 0)) : NaN,
    dead: known.length ? known.reduce((sum, entry) => sum + entry.count, 0) : NaN,
    channels: known.reduce((sum, entry) => sum + entry.total, 0),
    alarms: alarmsOf(history).filter((alarm) => alarm.step <= step),
  };
}

/** Alarms, the loss that was no number among them, in the order of steps. */
export const alarmsOf = (history: History): RunEvent[] =>
  [...history.alarms, ...history.events.filter((event) => event.grave)].sort((a, b) => a.step - b.step);

/** Everything that happened, in the order of steps. */
export const eventsOf = (history: History): RunEvent[] =>
  [...history.alarms, ...history.events].sort((a, b) => a.step - b.step);

/** The step that is looked at: the chosen one or else the last, as far as it has a snapshot. */
export function shownStep(snapshots: number[], chosen: number | null): number | null {
  if (!snapshots.length) return null;
  return snapshots[chosen === null ? snapshots.length - 1 : nearest(snapshots, chosen)] ?? null;
}
