/** The state of a page as an anywidget model, for hosts that are not a notebook. */

import type { ChangeListener, MessageListener, Model } from "../protocol/model.ts";

export interface Store extends Model {
  /** Something came from whoever answers. */
  hear(content: object, buffers?: DataView[]): void;
}

type Send = (content: Record<string, unknown>, buffers: ArrayBufferView[]) => void;

/**
 * @param state the first values
 * @param send carries questions to whoever answers; answers come back through `hear`
 */
export function store(state: Record<string, unknown>, send: Send): Store {
  const values = { ...state };
  const listeners = new Map<string, Set<MessageListener | ChangeListener>>();
  const of = (event: string): Set<MessageListener | ChangeListener> => {
    const found = listeners.get(event) ?? new Set();
    listeners.set(event, found);
    return found;
  };
  return {
    get: (key) => values[key],
    set(key, value) {
      if (JSON.stringify(values[key]) === JSON.stringify(value)) return;
      values[key] = value;
      // a listener may go while others are told
      for (const listener of [...of(`change:${key}`)]) (listener as ChangeListener)();
    },
    save_changes() {},
    send: (content, _callbacks, buffers = []) => send(content as Record<string, unknown>, buffers),
    on: (event: string, listener: MessageListener | ChangeListener) => void of(event).add(listener),
    off: (event, listener) => void of(event).delete(listener),
    hear(content, buffers = []) {
      for (const listener of [...of("msg:custom")]) (listener as MessageListener)(content, buffers);
    },
  };
}
