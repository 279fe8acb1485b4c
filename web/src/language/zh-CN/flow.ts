import type { flow as en } from "../en/flow.ts";

export const flow: Record<keyof typeof en, string> = {
  "flow.title": "数据流",
};
