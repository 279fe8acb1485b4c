/** The verdicts of evidence, in the words of the records. */

import type { Key } from "../language/say.ts";

export const VERDICT_KEYS = {
  "better than random": "verdict.better",
  "no better than random": "verdict.no_better",
  "fails the sanity check": "verdict.fails",
  "not checked yet": "verdict.unchecked",
} as const satisfies Record<string, Key>;

export type Verdict = keyof typeof VERDICT_KEYS;
