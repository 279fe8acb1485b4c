import type { classes as en } from "../en/classes.ts";

export const classes: Record<keyof typeof en, string> = {
  "classes.title": "类别",
};
