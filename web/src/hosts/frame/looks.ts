/** Language and theme: which comes next, and which a page begins with. */

import { type Language, LANGUAGES } from "../../language/say.ts";
import type { Theme } from "../../protocol/context.svelte.ts";
import { remembered } from "../remembered.ts";

export const THEMES: readonly Theme[] = ["auto", "light", "dark"];

export const otherLanguage = (language: Language): Language => (language === "en" ? "zh-CN" : "en");

export const nextTheme = (theme: Theme): Theme => THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";

/** What the address says, or else what was chosen before, or else what the browser prefers. */
export function firstLanguage(given: string | null, preferred: readonly string[] = navigator.languages): Language {
  for (const name of [given, remembered("language")]) if (LANGUAGES.includes(name as Language)) return name as Language;
  const first = preferred.find((name) => /^(en|zh)\b/i.test(name)) ?? "en";
  return /^zh/i.test(first) ? "zh-CN" : "en";
}

export function firstTheme(given: string | null): Theme {
  for (const name of [given, remembered("theme")]) if (THEMES.includes(name as Theme)) return name as Theme;
  return "auto";
}
