export const space = {
  "space.title": "Space",
} as const;
