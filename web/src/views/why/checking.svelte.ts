/** Checks of maps, one after the other, with progress; what was found stays while the view is open. */

import type { Progress } from "../../protocol/ask.ts";
import type { ViewContext } from "../../protocol/context.svelte.ts";
import { AskError } from "../../protocol/ask.ts";
import { SvelteMap } from "svelte/reactivity";
import { checkKey } from "./choices.ts";
import type { Evidence, Target } from "./types.ts";

export interface CheckArgs {
  method: string;
  images: string[] | null;
  target: Target;
  layer: string | null;
  keep: boolean;
}

export interface Checking {
  /** By `checkKey`; what was kept in the run by method and layer alone. */
  readonly found: ReadonlyMap<string, Evidence>;
  readonly failed: ReadonlyMap<string, string>;
  readonly running: CheckArgs | null;
  readonly waiting: number;
  readonly progress: Progress | null;
  run(args: CheckArgs): void;
  cancel(): void;
}

export const keyOf = (args: CheckArgs): string => checkKey(args.method, args.images ?? [], args.target, args.layer);

export function checking(context: ViewContext): Checking {
  const found = new SvelteMap<string, Evidence>();
  const failed = new SvelteMap<string, string>();
  let queue = $state.raw<CheckArgs[]>([]);
  let running = $state.raw<CheckArgs | null>(null);
  let progress = $state.raw<Progress | null>(null);
  let controller = new AbortController();

  async function next(): Promise<void> {
    const args = queue[0];
    if (running || !args) return;
    queue = queue.slice(1);
    running = args;
    failed.delete(keyOf(args));
    controller = new AbortController();
    const asked = args.images ? { ...args, keep: undefined } : { ...args, images: undefined, target: undefined };
    try {
      const told = (now: Progress): void => void (progress = now);
      found.set(keyOf(args), await context.ask<Evidence>("check", asked, { signal: controller.signal, progress: told }));
    } catch (error) {
      const live = error instanceof AskError && error.live;
      if (!controller.signal.aborted) failed.set(keyOf(args), live ? context.say("common.live") : (error as Error).message);
    }
    running = null;
    progress = null;
    void next();
  }

  return {
    found,
    failed,
    get running() {
      return running;
    },
    get waiting() {
      return queue.length;
    },
    get progress() {
      return progress;
    },
    run(args) {
      const key = keyOf(args);
      if ((running && keyOf(running) === key) || queue.some((other) => keyOf(other) === key)) return;
      queue = [...queue, args];
      void next();
    },
    cancel() {
      queue = [];
      controller.abort();
    },
  };
}
