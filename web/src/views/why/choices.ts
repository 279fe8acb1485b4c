/** Which images, methods, layer and step are shown: what follows from the selection and the answers. */

import type { Selected } from "../../protocol/selection.svelte.ts";
import type { Family, Methods, Target } from "./types.ts";

export const ROWS = 4;
export const MOST_COLUMNS = 6;
export const FAMILIES: readonly Family[] = ["cam", "gradient", "attention", "perturbation"];

const FIRST_COLUMNS = 4;
// one of each family that is usually quick
const FILLING = ["grad_cam", "integrated_gradients", "saliency", "occlusion"];

/** The methods that are shown first: what was checked, what is recommended, what is chosen; then some that are quick. */
export function firstColumns(methods: Methods, chosen: string | null): string[] {
  const known = new Map(methods.methods.map((method) => [method.name, method]));
  const wanted = [methods.recommended?.method, ...Object.keys(methods.kept), chosen].filter((name) => name && known.has(name));
  const columns = [...new Set(wanted as string[])].slice(0, MOST_COLUMNS);
  for (const name of FILLING) {
    if (columns.length >= FIRST_COLUMNS) break;
    if (!columns.includes(name) && known.get(name)?.slow === false) columns.push(name);
  }
  return columns;
}

/** A method shown or hidden; the last one stays. */
export function toggled(columns: readonly string[], name: string, methods: Methods): string[] {
  if (columns.includes(name)) return columns.length > 1 ? columns.filter((column) => column !== name) : [...columns];
  const order = methods.methods.map((method) => method.name);
  const first = columns.length >= MOST_COLUMNS ? columns.slice(0, -1) : columns;
  return order.filter((column) => column === name || first.includes(column));
}

/** The ids of a page of a group; a chosen image that lies elsewhere comes first. */
export function rowsOf(image: string | null, group: string, start: number, total: number): string[] {
  const page = Array.from({ length: Math.max(Math.min(ROWS, total - start), 0) }, (_, at) => `${group}/${start + at}`);
  return image === null || page.includes(image) ? page : [image, ...page.slice(0, ROWS - 1)];
}

/** The layer to ask for: the chosen one where it has places. */
export function layerOf(methods: Methods, chosen: string | null): string | null {
  return methods.layers.some((layer) => layer.name === chosen) ? chosen : null;
}

/** Of an earlier step: the columns that its snapshot can show, and others that it can. */
export function stepColumns(columns: readonly string[], methods: Methods): string[] {
  const kept = columns.filter((name) => methods.of_steps.includes(name));
  const others = methods.of_steps.filter((name) => !kept.includes(name));
  return [...kept, ...others.slice(0, Math.max(FIRST_COLUMNS - kept.length, 0))];
}

/** The snapshot that is looked at, by its step, or null for the network as it is, which the last step stands for. */
export function stepOf(selected: Selected, steps: readonly number[], live: boolean): number | null {
  const last = steps.at(-1);
  if (last === undefined) return null;
  const step = selected.step ?? last;
  if (step >= last) return live ? null : last;
  return steps.findLast((one) => one <= step) ?? steps[0] ?? null;
}

/** One text per set of maps: what a check belongs to. */
export function checkKey(method: string, images: readonly string[], target: Target, layer: string | null): string {
  return JSON.stringify([method, images, target, layer]);
}

/** The name of a method without its source: `Grad-CAM, Selvaraju et al. 2017` -> `Grad-CAM`. */
export const shortTitle = (title: string): string => title.split(",")[0] ?? title;
