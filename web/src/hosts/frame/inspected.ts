/** What the inspector tells of what is chosen. */

import type { Selected } from "../../protocol/selection.svelte.ts";
import type { NdArray } from "../../protocol/wire.ts";
import type { ViewName } from "./views.ts";

/** What the inspector needs of the answer to `graph`. */
export interface Network {
  nodes: GraphNode[];
}

export interface GraphNode {
  name: string;
  operation: string;
  inputs: string[];
  shape: number[];
}

/** What it needs of the answer to `trace`. */
export interface Arithmetic {
  value: number;
  operation: string;
  opens: boolean;
  note: string;
  bias: number | null;
  total: number | null;
  receptive_field: [number, number, number, number] | null;
  terms: { product: NdArray };
}

/** How a tensor is written in code: `layer`, `layer[channel]` or `layer[channel, row, column]`. */
export function pathOf(selected: Selected): string {
  if (!selected.layer) return "";
  const places = selected.unit ?? (selected.channel === null ? [] : [selected.channel]);
  return places.length ? `${selected.layer}[${places.join(", ")}]` : selected.layer;
}

export function nodeOf(network: Network | undefined, layer: string | null): GraphNode | undefined {
  return layer === null ? undefined : network?.nodes.find((node) => node.name === layer);
}

/** The layers that take what this one gives. */
export function takers(network: Network | undefined, layer: string): string[] {
  return (network?.nodes ?? []).filter((node) => node.inputs.includes(layer)).map((node) => node.name);
}

/** How many maps a layer has: values without rows and columns count as one map each; see `shown.map_shape`. */
export function channelsOf(shape: readonly number[]): number {
  return shape.length < 2 ? (shape[0] ?? 1) : shape.slice(0, -2).reduce((all, length) => all * length, 1);
}

/** The views in which something chosen is worth a look. */
export function elsewhere(selected: Selected): ViewName[] {
  const views: ViewName[] = [];
  if (selected.image) views.push("flow", "why");
  if (selected.layer) views.push("maps", "filters", "space");
  if (selected.channel !== null) views.push("channel");
  if (selected.class !== null) views.push("classes");
  if (selected.step !== null) views.push("film");
  return views;
}
