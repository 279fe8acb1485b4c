import type { maps as en } from "../en/maps.ts";

export const maps: Record<keyof typeof en, string> = {
  "maps.title": "特征图",
};
