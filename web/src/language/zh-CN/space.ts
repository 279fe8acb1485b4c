import type { space as en } from "../en/space.ts";

export const space: Record<keyof typeof en, string> = {
  "space.title": "特征空间",
};
