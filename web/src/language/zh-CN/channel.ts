import type { channel as en } from "../en/channel.ts";

export const channel: Record<keyof typeof en, string> = {
  "channel.title": "通道",
};
