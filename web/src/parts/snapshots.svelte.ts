/**
 * Snapshots while a person scrubs: what is known is shown at once, what is asked for is never given up (else nothing
 * would be seen before the hand rests), and the steps around are fetched before they are wanted.
 */

import { untrack } from "svelte";
import type { ViewContext } from "../protocol/context.svelte.ts";
import { canonical } from "../protocol/wire.ts";
import { nearest } from "./timeline/history.ts";
import type { Snapshot } from "./snapshots.ts";

const TOGETHER = 4; // questions on their way at a time
// steps ahead, in the direction of the last move, and fewer behind
const AROUND = [1, -1, 2, 3, -2, 4, 5, -3, 6, 7, 8, 9, 10, 11, 12];

export interface Wanted {
  step: number;
  layers: string[];
  images?: number[];
  channels?: number[];
}

export interface Watched {
  /** The newest of what was wanted that is there. */
  readonly shown: Snapshot | undefined;
  readonly waiting: boolean;
  readonly error: string | null;
}

/** Call it while a component is set up; `wanted` is read in an effect. */
export function watched(context: ViewContext, wanted: () => Wanted | null, steps: () => number[]): Watched {
  let shown = $state.raw<Snapshot | undefined>(undefined);
  let waiting = $state(false);
  let error = $state<string | null>(null);
  const onTheWay = new Set<string>();
  const failed = new Set<string>(); // not fetched in advance again: that would go on and on
  let newest = 0; // counts what was wanted; an older answer never replaces a newer one
  let newestShown = 0;
  let kind = ""; // layers, images and channels: answers of another kind are not shown any more
  let now: Wanted | null = null;
  let direction = 1;

  const known = (args: Wanted): Snapshot | undefined => context.ask.known<Snapshot>("snapshot", args);

  function show(found: Snapshot, order: number): void {
    if (order < newestShown) return;
    newestShown = order;
    shown = found;
    if (order === newest) waiting = false;
    error = null;
  }

  function fetch(args: Wanted, order: number | null): void {
    const name = canonical(args);
    if (onTheWay.has(name)) return;
    onTheWay.add(name);
    const mine = kind;
    context
      .ask<Snapshot>("snapshot", args)
      .then((found) => {
        if (mine !== kind) return;
        // what was fetched in advance may be just what is wanted by now
        if (now && canonical(now) === name) show(found, newest);
        else if (order !== null) show(found, order);
      })
      .catch((failure: unknown) => {
        failed.add(name);
        if (mine !== kind || !now || canonical(now) !== name) return;
        error = (failure as Error).message;
        waiting = false;
      })
      .finally(() => {
        onTheWay.delete(name);
        next();
      });
  }

  /** First what is wanted, then what lies around it, nearest first. */
  function next(): void {
    if (!now || onTheWay.size >= TOGETHER) return;
    if (!known(now) && error === null) fetch(now, newest);
    const all = steps();
    const at = nearest(all, now.step);
    for (const distance of AROUND) {
      const step = all[at + direction * distance];
      if (step === undefined) continue;
      if (onTheWay.size >= TOGETHER) return;
      const args = { ...now, step };
      if (!known(args) && !failed.has(canonical(args))) fetch(args, null);
    }
  }

  $effect(() => {
    const args = wanted();
    untrack(() => {
      const same = args && canonical({ ...args, step: 0 });
      if (same !== kind) newestShown = newest;
      if (now && args && args.step !== now.step) direction = args.step > now.step ? 1 : -1;
      kind = same ?? "";
      now = args;
      newest += 1;
      error = null;
      const found = args && known(args);
      if (found) show(found, newest);
      else waiting = Boolean(args);
      next();
    });
  });
  return {
    get shown() {
      return shown;
    },
    get waiting() {
      return waiting;
    },
    get error() {
      return error;
    },
  };
}
