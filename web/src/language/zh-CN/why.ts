import type { why as en } from "../en/why.ts";

export const why: Record<keyof typeof en, string> = {
  "why.title": "依据",
};
