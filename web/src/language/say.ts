/** Texts by key and language. `{name}` in an entry is filled in; `{count|image|images}` chooses a word by a number. */

import { en } from "./en.ts";
import { zhCN } from "./zh-CN.ts";

export const LANGUAGES = ["en", "zh-CN"] as const;
export type Language = (typeof LANGUAGES)[number];
export type Key = keyof typeof en;
export type Values = Record<string, string | number>;
export type Say = (key: Key, values?: Values) => string;

const DICTIONARIES: Record<Language, Record<Key, string>> = { en, "zh-CN": zhCN };

export function say(language: Language, key: Key, values: Values = {}): string {
  return DICTIONARIES[language][key].replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one, many) => {
    const value = values[name];
    if (value === undefined) return whole;
    if (one !== undefined) return value === 1 ? one : many;
    return typeof value === "number" ? value.toLocaleString(language) : value;
  });
}
