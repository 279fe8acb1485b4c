/** The views of a report: each takes its place in the page, and all of them share one selection. */

import { mount } from "svelte";
import "../../parts/tokens.css";
import Timeline from "../../parts/timeline/Timeline.svelte";
import { viewContext } from "../../protocol/context.svelte.ts";
import { NOTHING, type Selected } from "../../protocol/selection.svelte.ts";
import Place from "../frame/Place.svelte";
import { isView } from "../frame/views.ts";
import { type Store, store } from "../store.ts";
import { reply, type Sources } from "./answering.ts";
import { galleries, graphs, ofProbe, snapshots } from "./nearby.ts";
import { network } from "./network.ts";
import { pictures } from "./pictures.ts";
import { type ChunkEntry, stored } from "./stored.ts";

/** The style sheet of this build, put in by it. */
declare const OPSIN_STYLE: string;

/** The page has a heading for each view already. */
const IN_PAGE = ":host { display: block; } .in-report h2 { display: none; }";

/** What the page says of itself, in `#opsin-report`. */
interface Carried {
  chunks: ChunkEntry[];
  groups: Record<string, number>;
  image: string | null;
  /** How many pictures of the probe have maps of methods. */
  explained: number;
}

const textOf = (id: string): string => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`this report lacks its part ${id}`);
  return element.textContent ?? "";
};

/** Language and theme are the page's: its own switches set them at the root. */
function followPage(model: Store, places: Set<HTMLElement>): void {
  const root = document.documentElement;
  const follow = (): void => {
    model.set("language", root.lang === "zh-CN" ? "zh-CN" : "en");
    model.set("theme", root.dataset.theme ?? "auto");
    for (const place of places) place.dataset.theme = root.dataset.theme ?? "auto";
  };
  follow();
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["lang", "data-theme"] });
}

/**
 * A place of its own in the page, in whose looks the page has no say: a view looks as in the other hosts. What stands in
 * the element for readers without scripts is not shown any more.
 */
function placeIn(element: HTMLElement, sheets: CSSStyleSheet[]): HTMLElement {
  const root = element.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = sheets;
  // outside, a key press seems to come from the element itself: what is typed in here is no business of the page's keys
  root.addEventListener("keydown", (event) => {
    if (event.target instanceof Element && event.target.matches("select, textarea, input:not([type=range], [type=checkbox], [type=radio])")) {
      event.stopPropagation();
    }
  });
  const place = document.createElement("div");
  place.className = "opsin in-report";
  root.append(place);
  return place;
}

function sheet(text: string): CSSStyleSheet {
  const found = new CSSStyleSheet();
  found.replaceSync(text);
  return found;
}

/** Show a view when it comes near: a page begins with what is seen first. All at once for paper. */
function whenNear(places: NodeListOf<HTMLElement>, show: (place: HTMLElement) => void): void {
  const waiting = new Set(places);
  const open = (place: HTMLElement): void => {
    observer.unobserve(place);
    if (waiting.delete(place)) show(place);
  };
  const observer = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => open(entry.target as HTMLElement)),
    { rootMargin: "800px 0px" },
  );
  for (const place of places) observer.observe(place);
  window.addEventListener("beforeprint", () => waiting.forEach(open));
}

function begin(): void {
  const carried = JSON.parse(textOf("opsin-report")) as Carried;
  const kept = stored(carried.chunks, textOf);
  const answerers = [
    graphs(kept), galleries(kept), snapshots(kept), ofProbe(kept, carried.explained), pictures(kept, carried.groups), network(kept),
  ];
  const sources: Sources = { stored: kept, answerers };
  const selection: Selected = { ...NOTHING, image: carried.image };
  const model: Store = store({ host: "report", motion: "auto", selection }, (content, buffers) => {
    void reply(model, sources, content, buffers);
  });
  const places = new Set<HTMLElement>();
  followPage(model, places);
  const context = viewContext(model);
  const sheets = [sheet(OPSIN_STYLE), sheet(IN_PAGE)];
  whenNear(document.querySelectorAll<HTMLElement>(".live[data-view]"), (element) => {
    const place = placeIn(element, sheets);
    places.add(place);
    place.dataset.theme = context.theme;
    const { view } = element.dataset;
    if (view === "timeline") mount(Timeline, { target: place, props: { context } });
    else if (isView(view)) mount(Place, { target: place, props: { context, view } });
  });
}

begin();
