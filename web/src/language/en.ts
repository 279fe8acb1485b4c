/** English. One file per view; the Chinese dictionary has to hold the same keys (its type says so, a test too). */

import { classes } from "./en/classes.ts";
import { channel } from "./en/channel.ts";
import { common } from "./en/common.ts";
import { compare } from "./en/compare.ts";
import { film } from "./en/film.ts";
import { filters } from "./en/filters.ts";
import { flow } from "./en/flow.ts";
import { frame } from "./en/frame.ts";
import { maps } from "./en/maps.ts";
import { space } from "./en/space.ts";
import { why } from "./en/why.ts";

export const en = {
  ...common, ...frame, ...flow, ...film, ...maps, ...filters, ...why, ...channel, ...space, ...classes, ...compare,
} as const;
