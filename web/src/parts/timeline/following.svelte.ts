/** The history of the run that is looked at, growing while it goes on: only lines that are new are asked for. */

import { untrack } from "svelte";
import type { ViewContext } from "../../protocol/context.svelte.ts";
import { type History, merged, type StepsAnswer } from "./history.ts";

export interface Following {
  readonly history: History | null;
  /** Why there is none. */
  readonly error: string | null;
  readonly waiting: boolean;
}

/** Call it while a component is set up. */
export function following(context: ViewContext): Following {
  let history = $state.raw<History | null>(null);
  let error = $state<string | null>(null);
  let waiting = $state(true);
  let asking = false;
  let more = false;
  let gone = false;

  async function look(): Promise<void> {
    if (asking) {
      more = true;
      return;
    }
    asking = true;
    try {
      const seen = history?.rows ?? 0;
      const answer = await context.ask<StepsAnswer>("steps", seen ? { start: seen } : {});
      if (!gone) {
        history = merged(history, answer);
        error = null;
      }
    } catch (failure) {
      error = (failure as Error).message;
    } finally {
      asking = waiting = false;
    }
    if (more && !gone) {
      more = false;
      await look();
    }
  }

  $effect(() => {
    untrack(() => void look()); // what it reads is no reason to look again
    const stop = context.ask.onChanged("steps", () => void look());
    return () => {
      gone = true;
      stop();
    };
  });
  return {
    get history() {
      return history;
    },
    get error() {
      return error;
    },
    get waiting() {
      return waiting;
    },
  };
}
