export const maps = {
  "maps.title": "Maps",
} as const;
