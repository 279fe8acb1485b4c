/** 简体中文. */

import type { en } from "./en.ts";
import { classes } from "./zh-CN/classes.ts";
import { channel } from "./zh-CN/channel.ts";
import { common } from "./zh-CN/common.ts";
import { compare } from "./zh-CN/compare.ts";
import { film } from "./zh-CN/film.ts";
import { filters } from "./zh-CN/filters.ts";
import { flow } from "./zh-CN/flow.ts";
import { frame } from "./zh-CN/frame.ts";
import { maps } from "./zh-CN/maps.ts";
import { space } from "./zh-CN/space.ts";
import { why } from "./zh-CN/why.ts";

export const zhCN: Record<keyof typeof en, string> = {
  ...common, ...frame, ...flow, ...film, ...maps, ...filters, ...why, ...channel, ...space, ...classes, ...compare,
};
