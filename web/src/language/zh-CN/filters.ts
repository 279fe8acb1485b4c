import type { filters as en } from "../en/filters.ts";

export const filters: Record<keyof typeof en, string> = {
  "filters.title": "卷积核",
};
