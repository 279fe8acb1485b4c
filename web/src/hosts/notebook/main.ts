/** The notebook's widget: one view, or several behind tabs. */

import { mount, unmount } from "svelte";
import "../../parts/tokens.css";
import type { ViewModule } from "../../protocol/model.ts";
import Tabs from "./Tabs.svelte";

/** The style sheet of this build, put in by it. */
declare const OPSIN_STYLE: string;

const widget: ViewModule = {
  render({ model, el }) {
    // beside the view and not in the page's head: some notebooks show each output in a tree of its own
    const style = document.createElement("style");
    style.textContent = OPSIN_STYLE;
    el.append(style);
    const tabs = mount(Tabs, { target: el, props: { model } });
    return () => {
      void unmount(tabs);
      style.remove();
    };
  },
};

export default widget;
