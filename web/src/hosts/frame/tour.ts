/** The introduction of a first visit. */

import type { Key } from "../../language/say.ts";
import { remember, remembered } from "../remembered.ts";
import type { About } from "./about.ts";
import type { ViewName } from "./views.ts";

export interface Stop {
  title: Key;
  text: Key;
  /** The view that it is about, and the part of the frame that is marked. */
  view: ViewName;
  part: "view" | "inspector" | "timeline";
}

/** The three steps: a model without a run has no training to move through. */
export function stopsFor(about: About): Stop[] {
  const last: Stop = about.run
    ? { title: "frame.tour_3", text: "frame.tour_3_text", view: "film", part: "timeline" }
    : { title: "frame.tour_3_model", text: "frame.tour_3_model_text", view: "why", part: "view" };
  return [
    { title: "frame.tour_1", text: "frame.tour_1_text", view: "flow", part: "view" },
    { title: "frame.tour_2", text: "frame.tour_2_text", view: "flow", part: "inspector" },
    last,
  ];
}

export const welcomed = (): boolean => remembered("welcomed") !== null;

export const welcome = (): void => remember("welcomed", "yes");
