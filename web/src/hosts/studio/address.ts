/** What a page shows, as the part of its address after `#`: it survives a reload, and a link can be sent on. */

import { NOTHING, type Scope, type Selected } from "../../protocol/selection.svelte.ts";

export interface Address {
  subject: string | null;
  view: string | null;
  language: string | null;
  theme: string | null;
  selection: Selected;
}

const SCOPES: readonly Scope[] = ["unit", "layer", "global"];
const TEXTS = ["image", "layer", "method"] as const;
const NUMBERS = ["channel", "step", "beside", "class"] as const;

/** Read an address; what makes no sense in it counts as not given. */
export function readAddress(hash: string): Address {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const selection: Selected = { ...NOTHING };
  for (const name of TEXTS) selection[name] = given.get(name) || null;
  for (const name of NUMBERS) selection[name] = whole(given.get(name));
  const unit = (given.get("unit") ?? "").split(",").map(whole);
  if (unit.length === 3 && unit.every((place) => place !== null)) {
    selection.unit = unit as [number, number, number];
    selection.channel = selection.unit[0];
  }
  const scope = given.get("scope") as Scope;
  if (SCOPES.includes(scope)) selection.scope = scope;
  const text = (name: string): string | null => given.get(name) || null;
  return { subject: text("subject"), view: text("view"), language: text("language"), theme: text("theme"), selection };
}

/** Write an address, `#...`: only what differs from the beginning. */
export function writeAddress(address: Address): string {
  const written = new URLSearchParams();
  const put = (name: string, value: unknown): void => {
    if (value !== null) written.set(name, String(value));
  };
  for (const name of ["subject", "view"] as const) put(name, address[name]);
  for (const name of [...TEXTS, ...NUMBERS, "unit"] as const) put(name, address.selection[name]);
  if (address.selection.scope !== NOTHING.scope) put("scope", address.selection.scope);
  for (const name of ["language", "theme"] as const) put(name, address[name]);
  // slashes and commas may stand in a fragment, and are easier to read
  return `#${written.toString().replaceAll("%2F", "/").replaceAll("%2C", ",")}`;
}

function whole(text: string | null | undefined): number | null {
  return text && /^\d{1,9}$/.test(text) ? Number(text) : null;
}
