/** The views that there are, in the order of their number keys, and how their code comes. */

import type { ViewModule } from "../../protocol/model.ts";
import type { Key } from "../../language/say.ts";

export const VIEWS = ["flow", "film", "why", "space", "classes", "compare", "maps", "filters", "channel"] as const;
export type ViewName = (typeof VIEWS)[number];

/** Those behind this place look at one layer; the navigation sets them apart. */
export const OF_A_LAYER = VIEWS.indexOf("maps");

export const titleOf = (view: ViewName): Key => `${view}.title`;

export function isView(name: unknown): name is ViewName {
  return VIEWS.includes(name as ViewName);
}

// each view is a file of its own, where the host is not one file as a whole
const MODULES = import.meta.glob<{ default: ViewModule }>("../../views/*/index.ts");

export async function loadView(name: ViewName): Promise<ViewModule> {
  const load = MODULES[`../../views/${name}/index.ts`];
  if (!load) throw new Error(`this build has no view ${name}`);
  return (await load()).default;
}
