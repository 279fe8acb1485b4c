/** Maps as a snapshot holds them. */

import { asking } from "../../parts/asking.svelte.ts";
import { filmRange, firstLayer, hasPlaces, mapsOf, type Probe, probePosition } from "../../parts/snapshots.ts";
import { watched } from "../../parts/snapshots.svelte.ts";
import type { ViewContext } from "../../protocol/context.svelte.ts";
import type { Shown, Source } from "./shown.ts";

export interface AtStep {
  step: number;
  snapshots: number[];
}

/** Call it while a component is set up; `wanted` null: nothing of this is looked at. */
export function atStep(context: ViewContext, wanted: () => AtStep | null): Source {
  const probing = asking<Probe>(context, "probe", () => (wanted() ? {} : null));
  const layers = $derived(probing.answer?.layers.map((entry) => entry.name) ?? []);
  const layer = $derived(context.selection.now.layer ?? (probing.answer && firstLayer(probing.answer.layers)?.name) ?? null);
  const image = $derived(probing.answer ? probePosition(context.selection.now.image ?? "probe/0", probing.answer.ids.length) : null);
  const args = $derived.by(() => {
    const at = wanted();
    return at && layer !== null && layers.includes(layer) && image !== null ? { step: at.step, layers: [layer], images: [image] } : null;
  });
  const scope = $derived(context.selection.now.scope);
  const range = $derived(probing.answer && layer !== null ? filmRange(probing.answer, layer, scope) : null);
  const frames = watched(context, () => args, () => wanted()?.snapshots ?? []);

  const missing = $derived.by(() => {
    const at = wanted();
    if (!at || !probing.answer) return at ? probing.error : null;
    if (image === null) return context.say("maps.not_watched", { step: at.step });
    if (layer === null || !layers.includes(layer)) return context.say("maps.not_recorded", { layer: layer ?? "" });
    return frames.error;
  });
  const shown = $derived.by((): Shown | null => {
    const probe = probing.answer;
    const stored = layer === null ? undefined : frames.shown?.layers[layer];
    if (!probe || !stored || !args || layer === null) return null;
    const maps = mapsOf(stored, 0);
    const [rows, columns] = hasPlaces(stored) ? [stored.values.shape[2] ?? 1, stored.values.shape[3] ?? 1] : [1, 1];
    const entry = probe.layers.find((item) => item.name === layer);
    return {
      layer, maps, rows, columns,
      image: probe.ids[args.images[0] ?? 0] ?? "",
      step: frames.shown?.step ?? null,
      size: [rows, columns],
      cell: 1,
      channels: Array.from(stored.channels.data),
      total: entry?.shape?.[0] ?? maps.length,
      range,
      levels: { low: stored.low, high: stored.high },
    };
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
    get unwatched() {
      return wanted() !== null && probing.answer !== undefined && image === null;
    },
    get progress() {
      return probing.progress;
    },
  };
}
