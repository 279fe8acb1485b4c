/** Maps as the network makes them now. */

import { asking } from "../../parts/asking.svelte.ts";
import type { ViewContext } from "../../protocol/context.svelte.ts";
import { type LiveLayer, liveMaps, liveRange, type Shown, type Source } from "./shown.ts";

const SIDE = 112; // cells that maps are averaged down to

interface Graph {
  nodes: { name: string; operation: string; shape: number[] }[];
}

interface Maps {
  layers: Record<string, LiveLayer>;
}

/** Call it while a component is set up; `image` null: nothing of this is looked at. */
export function live(context: ViewContext, image: () => string | null): Source {
  const graph = asking<Graph>(context, "graph", () => (image() === null ? null : { image: image() }));
  const layers = $derived(graph.answer?.nodes.map((node) => node.name) ?? []);
  const first = $derived(graph.answer?.nodes.find((node) => node.operation === "conv2d")?.name);
  const layer = $derived(context.selection.now.layer ?? first ?? layers[0] ?? null);
  // the colour scale of all layers takes the ranges of all; else one layer is enough
  const wanted = $derived(context.selection.now.scope === "global" ? "all" : layer === null ? null : [layer]);
  const asked = asking<Maps>(context, "maps", () => {
    const shown = image();
    return shown === null || layer === null || !layers.includes(layer) || wanted === null ? null : { image: shown, layers: wanted, side: SIDE };
  });
  const found = $derived(layer === null ? undefined : asked.answer?.layers[layer]);

  const shown = $derived.by((): Shown | null => {
    const picture = image();
    if (!found || layer === null || picture === null || !asked.answer) return null;
    const [, rows = 1, columns = 1] = found.values.shape;
    const maps = liveMaps(found);
    return {
      layer, maps, rows, columns,
      image: picture,
      step: null,
      size: found.size,
      cell: Math.ceil(Math.max(...found.size) / SIDE),
      channels: maps.map((_, channel) => channel),
      total: maps.length,
      range: liveRange(asked.answer.layers, layer, context.selection.now.scope),
      levels: null,
    };
  });
  const missing = $derived.by(() => {
    if (image() === null) return null;
    if (graph.error ?? asked.error) return graph.error ?? asked.error;
    return graph.answer && layer !== null && !layers.includes(layer) ? context.say("maps.not_there", { layer }) : null;
  });
  return {
    get shown() {
      return shown;
    },
    get layers() {
      return layers;
    },
    get layer() {
      return layer;
    },
    get missing() {
      return missing;
    },
    unwatched: false,
    get progress() {
      return asked.progress;
    },
  };
}
