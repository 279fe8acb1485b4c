export const flow = {
  "flow.title": "Flow",
} as const;
