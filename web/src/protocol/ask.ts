/** Questions over a model. What was answered once is answered at once again, until the host says that it changed. */

import type { Model } from "./model.ts";
import { type Answer, canonical, pack, unpack } from "./wire.ts";

export interface Progress {
  done: number;
  total: number;
  what: string;
}

export interface AskOptions {
  signal?: AbortSignal;
  progress?: (progress: Progress) => void;
}

/** A question that the host could not answer. `live`: it would take a live model, which this host has not. */
export class AskError extends Error {
  constructor(
    message: string,
    readonly live = false,
  ) {
    super(message);
  }
}

export interface Asker {
  <A = Answer>(question: string, args?: object, options?: AskOptions): Promise<A>;
  /** The answer that was given before, if it is still known. */
  known<A = Answer>(question: string, args?: object): A | undefined;
  /** Be told when answers to a question may have changed; returns how to stop. */
  onChanged(question: string, listener: () => void): () => void;
  close(): void;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  progress?: ((progress: Progress) => void) | undefined;
}

const KEPT_ANSWERS = 400;

// views come and go, and several share a model: what one was answered, the next knows
const KNOWN = new WeakMap<Model, Map<string, unknown>>();

function answersOf(model: Model): Map<string, unknown> {
  const found = KNOWN.get(model) ?? new Map<string, unknown>();
  KNOWN.set(model, found);
  return found;
}

export function asker(model: Model): Asker {
  const waiting = new Map<string, Waiting>();
  const answers = answersOf(model);
  const listeners = new Map<string, Set<() => void>>();
  // several askers can share a model (a view in a frame): answers find their own by this prefix
  const prefix = Math.random().toString(36).slice(2);
  let count = 0;

  const heard = (content: unknown, buffers: DataView[]): void => {
    const message = content as Record<string, unknown>;
    if (message.kind === "changed") forget(message.questions as string[]);
    const asked = waiting.get(String(message.id));
    if (!asked) return;
    if (message.kind === "progress") {
      asked.progress?.(message as unknown as Progress);
      return;
    }
    waiting.delete(String(message.id));
    if (message.kind === "answer") asked.resolve(unpack(message.answer, buffers));
    else asked.reject(new AskError(String(message.message), Boolean(message.live)));
  };
  const forget = (questions: string[]): void => {
    for (const key of answers.keys()) if (questions.some((name) => key.startsWith(`${name} `))) answers.delete(key);
    for (const name of questions) for (const listener of listeners.get(name) ?? []) listener();
  };
  const keep = (key: string, answer: unknown): void => {
    answers.delete(key);
    answers.set(key, answer);
    for (const oldest of answers.keys()) {
      if (answers.size <= KEPT_ANSWERS) break;
      answers.delete(oldest);
    }
  };
  const key = (question: string, args: object): string => `${question} ${canonical(args)}`;

  const ask = <A,>(question: string, args: object = {}, options: AskOptions = {}): Promise<A> => {
    const { document, buffers } = pack(args);
    // what comes with a file is asked once: a key out of millions of bytes would cost more than the answer
    const name = buffers.length ? null : key(question, args);
    if (name !== null && answers.has(name)) return Promise.resolve(answers.get(name) as A);
    const id = `${prefix}-${count++}`;
    return new Promise<A>((resolve, reject) => {
      const given = (answer: unknown): void => {
        if (name !== null) keep(name, answer);
        resolve(answer as A);
      };
      waiting.set(id, { resolve: given, reject, progress: options.progress });
      options.signal?.addEventListener("abort", () => {
        if (!waiting.delete(id)) return;
        model.send({ kind: "cancel", id });
        reject(new DOMException("cancelled", "AbortError"));
      });
      model.send({ kind: "ask", id, question, args: document }, undefined, buffers);
    });
  };
  model.on("msg:custom", heard);
  return Object.assign(ask, {
    known: <A,>(question: string, args: object = {}) => answers.get(key(question, args)) as A | undefined,
    onChanged: (question: string, listener: () => void) => {
      const set = listeners.get(question) ?? new Set();
      listeners.set(question, set.add(listener));
      return () => set.delete(listener);
    },
    close: () => model.off("msg:custom", heard),
  });
}
