import type { compare as en } from "../en/compare.ts";

export const compare: Record<keyof typeof en, string> = {
  "compare.title": "对比",
};
