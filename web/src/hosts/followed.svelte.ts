/** A value of the model's state that a component follows. */

import type { Model } from "../protocol/model.ts";

export interface Followed<V> {
  readonly now: V;
  close(): void;
}

export function followed<V>(model: Model, key: string, read: (value: unknown) => V): Followed<V> {
  let now = $state.raw(read(model.get(key)));
  const follow = (): void => {
    now = read(model.get(key));
  };
  model.on(`change:${key}`, follow);
  return {
    get now() {
      return now;
    },
    close: () => model.off(`change:${key}`, follow),
  };
}
