/** The views of a report: each takes its place in the page, and all of them share one selection. */

import { mount } from "svelte";
import "../../parts/tokens.css";
import { viewContext } from "../../protocol/context.svelte.ts";
import Place from "../frame/Place.svelte";
import { isView, type ViewName } from "../frame/views.ts";
import { type Store, store } from "../store.ts";
import { reply, type Sources } from "./answering.ts";
import { pictures } from "./pictures.ts";
import { type ChunkEntry, stored } from "./stored.ts";

/** The style sheet of this build, put in by it. */
declare const OPSIN_STYLE: string;

/** What the page says of itself, in `#opsin-report`. */
interface Carried {
  chunks: ChunkEntry[];
  groups: Record<string, number>;
  image: string | null;
}

const textOf = (id: string): string => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`this report lacks its part ${id}`);
  return element.textContent ?? "";
};

/** Language and theme are the page's: its own switches set them at the root. */
function followPage(model: Store): void {
  const root = document.documentElement;
  const follow = (): void => {
    model.set("language", root.lang === "zh-CN" ? "zh-CN" : "en");
    model.set("theme", root.dataset.theme ?? "auto");
  };
  follow();
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["lang", "data-theme"] });
}

/** Show a view when it comes near: a page begins with what is seen first. */
function showNear(places: NodeListOf<HTMLElement>, show: (place: HTMLElement, view: ViewName) => void): void {
  const open = (place: Element): void => {
    observer.unobserve(place);
    const view = (place as HTMLElement).dataset.view;
    if (isView(view)) show(place as HTMLElement, view);
  };
  const observer = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => open(entry.target)),
    { rootMargin: "800px 0px" },
  );
  for (const place of places) observer.observe(place);
  window.addEventListener("beforeprint", () => places.forEach(open), { once: true });
}

function begin(): void {
  const style = document.createElement("style");
  style.textContent = OPSIN_STYLE;
  document.head.append(style);
  const carried = JSON.parse(textOf("opsin-report")) as Carried;
  const kept = stored(carried.chunks, textOf);
  const sources: Sources = { stored: kept, answerers: [pictures(kept, carried.groups)] };
  const model: Store = store({ host: "report", motion: "auto", selection: { image: carried.image } }, (content, buffers) => {
    void reply(model, sources, content, buffers);
  });
  followPage(model);
  const context = viewContext(model);
  showNear(document.querySelectorAll<HTMLElement>("[data-view]"), (place, view) => {
    // what stands there for readers without scripts has done its service
    place.replaceChildren();
    place.classList.add("opsin");
    mount(Place, { target: place, props: { context, view } });
  });
}

begin();
