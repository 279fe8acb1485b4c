export const channel = {
  "channel.title": "Channel",
} as const;
