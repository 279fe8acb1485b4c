import { expect, test } from "vitest";
import { en } from "../../src/language/en.ts";
import { say } from "../../src/language/say.ts";
import { zhCN } from "../../src/language/zh-CN.ts";

test("both languages hold the same keys, none empty", () => {
  expect(Object.keys(zhCN).sort()).toEqual(Object.keys(en).sort());
  for (const text of [...Object.values(en), ...Object.values(zhCN)]) expect(text.trim()).not.toBe("");
});

test("both languages fill in the same values", () => {
  const names = (text: string): string[] => [...text.matchAll(/\{(\w+)/g)].map((found) => found[1]!).sort();
  for (const [key, text] of Object.entries(en)) {
    expect([...new Set(names(zhCN[key as keyof typeof en]))], key).toEqual([...new Set(names(text))]);
  }
});

test("Chinese texts are Chinese", () => {
  // names and signs are the same everywhere; sentences are not
  for (const [key, text] of Object.entries(en)) {
    if (/[a-z]{4,} [a-z]{3,}/.test(text)) expect(zhCN[key as keyof typeof en], key).toMatch(/\p{Script=Han}/u);
  }
});

test("values are filled in, words chosen by number", () => {
  expect(say("en", "common.range", { low: 1234, high: 2 })).toBe("1,234 to 2");
});
