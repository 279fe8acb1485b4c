/** The model of an anywidget front-end module: what a view is given, whatever host shows it. */

export type MessageListener = (content: unknown, buffers: DataView[]) => void;
export type ChangeListener = () => void;

export interface Model {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBufferView[]): void;
  on(event: "msg:custom", listener: MessageListener): void;
  on(event: `change:${string}`, listener: ChangeListener): void;
  off(event: string, listener: MessageListener | ChangeListener): void;
}

/** What `render` gets, and what a module exports. */
export interface Place {
  model: Model;
  el: HTMLElement;
}

export interface ViewModule {
  render(place: Place): () => void;
}
