/** A Svelte component as an anywidget-style module: `export default afm(View)`. */

import { type Component, mount, unmount } from "svelte";
import "../parts/tokens.css";
import { type ViewContext, viewContext } from "./context.svelte.ts";
import type { ViewModule } from "./model.ts";

export function afm(View: Component<{ context: ViewContext }>): ViewModule {
  return {
    render({ model, el }) {
      const context = viewContext(model);
      const place = document.createElement("div");
      place.className = "opsin";
      const look = (): void => {
        place.dataset.theme = context.theme;
        place.lang = context.language;
      };
      look();
      model.on("change:theme", look);
      model.on("change:language", look);
      el.append(place);
      const component = mount(View, { target: place, props: { context } });
      return () => {
        model.off("change:theme", look);
        model.off("change:language", look);
        void unmount(component);
        context.close();
        place.remove();
      };
    },
  };
}
