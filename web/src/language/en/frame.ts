export const frame = {
  "frame.title": "Studio",
} as const;
