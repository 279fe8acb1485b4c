export const why = {
  "why.title": "Why",
} as const;
