/** A model as a host has it, for tests: what was sent, and a way to answer. */

import type { ChangeListener, MessageListener, Model } from "../../src/protocol/model.ts";
import { pack } from "../../src/protocol/wire.ts";

export interface FakeModel extends Model {
  sent: Record<string, unknown>[];
  hear(content: object, buffers?: DataView[]): void;
  answer(id: unknown, value: unknown): void;
}

export function fakeModel(state: Record<string, unknown> = {}): FakeModel {
  const listeners = new Map<string, Set<MessageListener | ChangeListener>>();
  const values = { ...state };
  const sent: Record<string, unknown>[] = [];
  const told = (event: string): Set<MessageListener | ChangeListener> => {
    const found = listeners.get(event) ?? new Set();
    listeners.set(event, found);
    return found;
  };
  const hear = (content: object, buffers: DataView[] = []): void => {
    for (const listener of [...told("msg:custom")]) (listener as MessageListener)(content, buffers);
  };
  return {
    sent,
    get: (key) => values[key],
    set(key, value) {
      values[key] = value;
      for (const listener of [...told(`change:${key}`)]) (listener as ChangeListener)();
    },
    save_changes() {},
    send: (content) => void sent.push(content as Record<string, unknown>),
    on: (event: string, listener: MessageListener | ChangeListener) => void told(event).add(listener),
    off: (event, listener) => void told(event).delete(listener),
    hear,
    answer(id, value) {
      const { document, buffers } = pack(value);
      hear({ kind: "answer", id, answer: document }, buffers.map((item) => new DataView(item.buffer, item.byteOffset, item.byteLength)));
    },
  };
}
