/** A question as something that a component shows: old answer until the new one is there, progress, error. */

import { AskError, type Progress } from "../protocol/ask.ts";
import type { ViewContext } from "../protocol/context.svelte.ts";
import type { Answer } from "../protocol/wire.ts";

export interface Asking<A> {
  /** The newest answer; while another is awaited, the one before. */
  readonly answer: A | undefined;
  readonly waiting: boolean;
  readonly progress: Progress | null;
  /** What to tell, where the newest question could not be answered. */
  readonly error: string | null;
  again(): void;
  cancel(): void;
}

/**
 * Ask whenever `args` (read in an effect) change; `null`: nothing to ask. Call it while a component is set up.
 */
export function asking<A = Answer>(context: ViewContext, question: string, args: () => object | null): Asking<A> {
  let answer = $state.raw<A | undefined>(undefined);
  let waiting = $state(false);
  let progress = $state.raw<Progress | null>(null);
  let error = $state<string | null>(null);
  let turn = $state(0);
  let controller = new AbortController();

  $effect(() => {
    void turn;
    const asked = args();
    controller.abort();
    if (!asked) return;
    const mine = new AbortController();
    controller = mine;
    const known = context.ask.known<A>(question, asked);
    if (known !== undefined) {
      answer = known;
      waiting = false;
      error = null;
      return;
    }
    waiting = true;
    context
      .ask<A>(question, asked, { signal: mine.signal, progress: (told) => (progress = told) })
      .then((found) => {
        if (controller !== mine) return;
        answer = found;
        error = null;
      })
      .catch((failure: unknown) => {
        if (controller !== mine || (failure instanceof DOMException && failure.name === "AbortError")) return;
        error = failure instanceof AskError && failure.live ? context.say("common.live") : String((failure as Error).message);
      })
      .finally(() => {
        if (controller !== mine) return;
        waiting = false;
        progress = null;
      });
  });
  $effect(() => context.ask.onChanged(question, () => (turn += 1)));
  return {
    get answer() {
      return answer;
    },
    get waiting() {
      return waiting;
    },
    get progress() {
      return progress;
    },
    get error() {
      return error;
    },
    again: () => (turn += 1),
    cancel: () => {
      controller.abort();
      waiting = false;
    },
  };
}
