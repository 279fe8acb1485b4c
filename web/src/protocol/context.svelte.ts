/** What every view gets: questions, the selection, words, looks. */

import { type Language, LANGUAGES, type Say, say } from "../language/say.ts";
import { type Asker, asker } from "./ask.ts";
import type { Model } from "./model.ts";
import { type Selection, selection } from "./selection.svelte.ts";

export type Host = "studio" | "notebook" | "report";
export type Theme = "auto" | "light" | "dark";

export interface ViewContext {
  readonly model: Model;
  readonly host: Host;
  readonly ask: Asker;
  readonly selection: Selection;
  /** The text of a key in the page's language; reading it in markup follows the language. */
  readonly say: Say;
  readonly language: Language;
  readonly theme: Theme;
  /** Whether things may move: the person's setting, or else the system's. */
  readonly motion: boolean;
  set(key: "language" | "theme" | "motion" | "view", value: string): void;
  close(): void;
}

export function viewContext(model: Model): ViewContext {
  const state = $state({ language: "en" as Language, theme: "auto" as Theme, motion: "auto" });
  const follow = (): void => {
    const language = model.get("language") as Language;
    state.language = LANGUAGES.includes(language) ? language : "en";
    state.theme = (model.get("theme") as Theme | undefined) ?? "auto";
    state.motion = (model.get("motion") as string | undefined) ?? "auto";
  };
  follow();
  const keys = ["language", "theme", "motion"] as const;
  for (const key of keys) model.on(`change:${key}`, follow);
  const ask = asker(model);
  const chosen = selection(model);
  return {
    model,
    host: (model.get("host") as Host | undefined) ?? "studio",
    ask,
    selection: chosen,
    say: (key, values) => say(state.language, key, values),
    get language() {
      return state.language;
    },
    get theme() {
      return state.theme;
    },
    get motion() {
      if (state.motion === "off") return false;
      return !globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches;
    },
    set(key, value) {
      model.set(key, value);
      model.save_changes();
      follow();
    },
    close() {
      for (const key of keys) model.off(`change:${key}`, follow);
      ask.close();
      chosen.close();
    },
  };
}
