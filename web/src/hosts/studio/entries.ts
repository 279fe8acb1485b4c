/** What the studio can open. */

import type { Entry } from "../frame/about.ts";

/** Ask the server; while it cannot answer, nothing is listed: the line to it says so, and asks again when it is back. */
export async function listEntries(): Promise<Entry[]> {
  try {
    const response = await fetch(new URL("api/subjects", document.baseURI));
    return response.ok ? ((await response.json()) as { subjects: Entry[] }).subjects : [];
  } catch {
    return [];
  }
}

/** What is opened where the address names nothing: the server lists what matters most first. */
export const firstEntry = (entries: readonly Entry[]): string | null => entries[0]?.id ?? null;
