/** What a subject is, as the question `subject` answers, and which views can show something of it. */

import type { Key, Values } from "../../language/say.ts";
import type { ViewName } from "./views.ts";

export interface About {
  name: string;
  label: string;
  parameters: number | null;
  classes: string[];
  run: AboutRun | null;
  model_missing: string | null;
  groups: Record<string, number>;
  first: string | null;
}

export interface AboutRun {
  status: string;
  steps: number[];
  epochs: number[];
  accuracy: number | null;
  interval: [number, number] | null;
  images: number | null;
}

/** Something that can be opened beside this, as the host lists it. */
export interface Entry {
  id: string;
  name: string;
  kind: string;
  status: string;
}

export interface Reason {
  key: Key;
  values?: Values;
}

/** Why a view has nothing to show, or null. */
export function reasonAgainst(view: ViewName, about: About, others: number): Reason | null {
  const noModel: Reason | null = about.model_missing ? { key: "frame.no_model", values: { why: about.model_missing } } : null;
  const noRun: Reason | null = about.run ? null : { key: "frame.no_run" };
  switch (view) {
    case "flow":
    case "channel":
      return noModel;
    case "maps":
    case "filters":
    case "why":
      return about.run ? null : noModel;
    case "film":
    case "space":
      return noRun;
    case "classes":
      return noRun ?? (about.run?.accuracy == null ? { key: "frame.no_scores" } : null);
    case "compare":
      return noModel ?? (others > 0 ? null : { key: "frame.no_other" });
  }
}
