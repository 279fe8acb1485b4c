/** The keys of the frame: what a key press means, where nobody is writing. */

import { VIEWS, type ViewName } from "./views.ts";

export type Action = { kind: "view"; view: ViewName } | { kind: "language" | "theme" | "keys" | "inspector" };

/** The few things that a key press is looked at for. */
export type Press = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "target" | "defaultPrevented">;

const LETTERS: Record<string, Action> = {
  l: { kind: "language" },
  t: { kind: "theme" },
  i: { kind: "inspector" },
  "?": { kind: "keys" },
};

export function actionOf(press: Press): Action | null {
  if (press.defaultPrevented || press.ctrlKey || press.metaKey || press.altKey || writes(press.target)) return null;
  const view = /^[1-9]$/.test(press.key) ? VIEWS[Number(press.key) - 1] : undefined;
  return view ? { kind: "view", view } : (LETTERS[press.key.toLowerCase()] ?? null);
}

function writes(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("select, textarea, [contenteditable], dialog")) return true;
  const kind = target instanceof HTMLInputElement ? target.type : "range";
  return !["range", "checkbox", "radio", "button"].includes(kind);
}
