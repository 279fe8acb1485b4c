/** The maps of an earlier step, as its snapshot holds them: of the watched images, in the layers that were recorded. */

import { asking } from "../../parts/asking.svelte.ts";
import { type Probe, probePosition, type Snapshot, type StoredLayer } from "../../parts/snapshots.ts";
import { watched } from "../../parts/snapshots.svelte.ts";
import { shownStep } from "../../parts/timeline/history.ts";
import type { ViewContext } from "../../protocol/context.svelte.ts";
import { array, type NdArray } from "../../protocol/wire.ts";
import { type GraphNode, type LayerMaps, mapShape, type MapsAnswer } from "./answers.ts";

export interface Filmed {
  /** The step that is looked at; null: the network as it is now. */
  readonly step: number | null;
  /** Null while there are none, and for pictures that were not watched. */
  readonly maps: MapsAnswer | null;
  readonly unwatched: boolean;
  /** Whether some channels were not kept. */
  readonly thinned: boolean;
  readonly error: string | null;
}

/** Call it while a component is set up. `network` null: nothing is known of it yet. */
export function filmed(context: ViewContext, image: () => string | null, network: () => GraphNode[] | null): Filmed {
  const asked = $derived(network() && context.selection.now.step !== null);
  const probe = asking<Probe>(context, "probe", () => (asked ? {} : null));
  const steps = $derived(asked && probe.answer ? Array.from(probe.answer.steps.data) : []);
  const chosen = $derived(asked ? context.selection.now.step : null);
  const step = $derived(chosen === null ? null : shownStep(steps, chosen));
  const position = $derived(probe.answer ? probePosition(image(), probe.answer.ids.length) : null);
  const layers = $derived(probe.answer?.layers.map((layer) => layer.name) ?? []);
  const wanted = $derived(step !== null && position !== null ? { step, layers, images: [position] } : null);
  const frames = watched(context, () => wanted, () => steps);
  const maps = $derived(wanted && frames.shown ? asMaps(frames.shown, network() ?? []) : null);
  return {
    get step() {
      return step;
    },
    get maps() {
      return maps;
    },
    get unwatched() {
      return step !== null && position === null;
    },
    get thinned() {
      return Object.values(maps?.layers ?? {}).some((layer) => layer.held);
    },
    get error() {
      return chosen === null ? null : (probe.error ?? frames.error);
    },
  };
}

/** A snapshot of one image in the form of an answer to `maps`. */
export function asMaps(snapshot: Snapshot, nodes: readonly GraphNode[]): MapsAnswer {
  const layers: Record<string, LayerMaps> = {};
  for (const node of nodes) {
    const stored = snapshot.layers[node.name];
    if (stored) layers[node.name] = layerMaps(stored, mapShape(node.shape)[0]);
  }
  const probabilities = snapshot.probabilities;
  return { probabilities: array(probabilities.data, [probabilities.data.length]), logits: null, layers };
}

/** Each channel has its place; `held` says which were kept. */
function layerMaps(stored: StoredLayer, count: number): LayerMaps {
  const [, held = 0, rows = 1, columns = 1] = stored.values.shape;
  const size = rows * columns;
  const channels = Math.max(count, held);
  const values = new Uint8Array(channels * size);
  stored.channels.data.forEach((channel, place) => {
    values.set(stored.values.data.subarray(place * size, (place + 1) * size), channel * size);
  });
  const [low, high] = [stored.low, stored.high].map((end) => array(new Float32Array(channels).fill(end))) as [NdArray, NdArray];
  const all: LayerMaps = { values: array(values, [channels, rows, columns]), low, high, size: [rows, columns] };
  return held < channels ? { ...all, held: new Set(stored.channels.data) } : all;
}
