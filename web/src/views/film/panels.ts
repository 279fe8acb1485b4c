/** The curves of a training as data: what lines there are, on what scale. */

import type { Counted, History } from "../../parts/timeline/history.ts";

export type PanelName = "loss" | "accuracy" | "lr" | "gradients" | "updates" | "dead" | "saturated";

export interface Line {
  /** A layer's name where it is one. */
  name: string;
  /** What it is: a line of training, of validation, of single batches, or of a layer. */
  kind: "train" | "validation" | "step" | "plain" | "layer";
  /** Of a layer: how deep it lies, 0..1. */
  depth: number;
  steps: ArrayLike<number>;
  values: ArrayLike<number>;
}

export interface Panel {
  name: PanelName;
  lines: Line[];
  scale: "linear" | "log" | "share";
  /** Layers that have no line here. */
  left: number;
}

export const MOST_LAYERS = 12;

/** The panels that have something to show; of many layers an even selection and the one that is `chosen`. */
export function panels(history: History, chosen: string | null = null): Panel[] {
  const { epochs } = history;
  const line = (kind: Line["kind"], steps: ArrayLike<number>, values: ArrayLike<number>): Line => ({
    name: kind, kind, depth: 0, steps, values,
  });
  const lr = some(history.lr) ? line("plain", history.step, history.lr) : line("plain", epochs.step, epochs.lr);
  const found: Panel[] = [
    {
      name: "loss",
      lines: [
        line("step", history.step, history.loss),
        line("train", epochs.step, epochs.trainLoss),
        line("validation", epochs.step, epochs.loss),
      ],
      scale: "linear",
      left: 0,
    },
    {
      name: "accuracy",
      lines: [line("train", epochs.step, epochs.trainAccuracy), line("validation", epochs.step, epochs.accuracy)],
      scale: "share",
      left: 0,
    },
    { name: "lr", lines: [lr], scale: "linear", left: 0 },
    layers("gradients", history.step, history.gradients, "log", chosen),
    layers("dead", history.step, shares(history.dead), "share", chosen),
    layers("updates", history.step, history.updates, "log", chosen),
    layers("saturated", history.step, shares(history.saturated), "share", chosen),
  ];
  return found
    .map((panel) => ({ ...panel, lines: panel.lines.filter((entry) => some(entry.values)) }))
    // where batches are all that is known they are the line of training
    .map((panel) => (panel.lines.length === 1 ? { ...panel, lines: panel.lines.map(alone) } : panel))
    .filter((panel) => panel.lines.length > 0);
}

function layers(
  name: PanelName, steps: Int32Array, series: Record<string, ArrayLike<number>>, scale: Panel["scale"], chosen: string | null,
): Panel {
  const all = Object.keys(series);
  const even = all.length <= MOST_LAYERS ? all : spread(all.length, MOST_LAYERS).map((at) => all[at]!);
  const shown = all.filter((layer) => even.includes(layer) || layer === chosen);
  const lines = shown.map((layer) => ({
    name: layer, kind: "layer" as const, depth: all.indexOf(layer) / Math.max(all.length - 1, 1), steps,
    values: series[layer]!,
  }));
  return { name, lines, scale, left: all.length - shown.length };
}

/** Shares of the channels, of layers of which one ever counted. */
function shares(counted: Record<string, Counted>): Record<string, Float32Array> {
  const entries = Object.entries(counted).filter(([, entry]) => entry.count.some((count) => count > 0));
  return Object.fromEntries(entries.map(([layer, { count, total }]) => [layer, count.map((value) => value / Math.max(total, 1))]));
}

const alone = (line: Line): Line => (line.kind === "step" ? { ...line, kind: "train" } : line);

const some = (values: ArrayLike<number>): boolean => Array.prototype.some.call(values, (value: number) => !Number.isNaN(value));

/** At most `most` of the positions 0..count-1, evenly spaced, the first and the last among them. */
export function spread(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, index) => index);
  if (most < 2) return count ? [count - 1] : [];
  return [...new Set(Array.from({ length: most }, (_, index) => Math.round((index * (count - 1)) / (most - 1))))];
}

/** Lines with steps of their own over one axis, as uPlot wants them; null where a line has no value there. */
export function aligned(panel: Panel): [number[], ...(number | null)[][]] {
  const steps = [...new Set(panel.lines.flatMap((line) => Array.from(line.steps)))].sort((a, b) => a - b);
  const places = new Map(steps.map((step, index) => [step, index]));
  const columns = panel.lines.map((line) => {
    const column: (number | null)[] = new Array(steps.length).fill(null);
    for (let index = 0; index < line.steps.length; index++) {
      const value = line.values[index] ?? NaN;
      // a logarithm knows no zero
      if (!Number.isNaN(value) && (panel.scale !== "log" || value > 0)) column[places.get(line.steps[index]!)!] = value;
    }
    return column;
  });
  return [steps, ...columns];
}
