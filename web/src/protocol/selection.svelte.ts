/** What is chosen: one state, shared by every view of a page through the model. */

import type { Model } from "./model.ts";

export type Scope = "unit" | "layer" | "global";

export interface Selected {
  image: string | null;
  layer: string | null;
  channel: number | null;
  unit: [number, number, number] | null;
  step: number | null;
  beside: number | null;
  class: number | null;
  method: string | null;
  scope: Scope;
}

export const NOTHING: Selected = {
  image: null,
  layer: null,
  channel: null,
  unit: null,
  step: null,
  beside: null,
  class: null,
  method: null,
  scope: "layer",
};

/** Whoever chooses a layer leaves the channel and unit of another one behind. */
export function chosen(before: Selected, change: Partial<Selected>): Selected {
  const after = { ...before, ...change };
  if ("layer" in change && change.layer !== before.layer) {
    if (!("channel" in change)) after.channel = null;
    if (!("unit" in change)) after.unit = null;
  }
  if ("channel" in change && change.channel !== before.channel && !("unit" in change)) after.unit = null;
  if (change.unit) after.channel = change.unit[0];
  return after;
}

export interface Selection {
  /** What is chosen now; reading it in a component or `$derived` follows it. */
  readonly now: Selected;
  choose(change: Partial<Selected>): void;
  close(): void;
}

export function selection(model: Model): Selection {
  const read = (): Selected => ({ ...NOTHING, ...((model.get("selection") as Partial<Selected> | undefined) ?? {}) });
  let now = $state.raw(read());
  const follow = (): void => {
    now = read();
  };
  model.on("change:selection", follow);
  return {
    get now() {
      return now;
    },
    choose(change) {
      const after = chosen(now, change);
      if (JSON.stringify(after) === JSON.stringify(now)) return;
      now = after;
      model.set("selection", after);
      model.save_changes();
    },
    close: () => model.off("change:selection", follow),
  };
}
