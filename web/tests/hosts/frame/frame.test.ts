import { expect, test } from "vitest";
import { type About, reasonAgainst } from "../../../src/hosts/frame/about.ts";
import { channelsOf, elsewhere, nodeOf, pathOf, takers } from "../../../src/hosts/frame/inspected.ts";
import { actionOf } from "../../../src/hosts/frame/keys.ts";
import { firstLanguage, firstTheme, nextTheme, otherLanguage, THEMES } from "../../../src/hosts/frame/looks.ts";
import { stopsFor } from "../../../src/hosts/frame/tour.ts";
import { isView, VIEWS } from "../../../src/hosts/frame/views.ts";
import { NOTHING } from "../../../src/protocol/selection.svelte.ts";

const MODEL: About = {
  name: "m", label: "cnn", parameters: 10, classes: ["a"], run: null, model_missing: null, groups: { example: 4 }, first: "example/0",
};
const RUN: About = { ...MODEL, run: { status: "finished", steps: [0], epochs: [1], accuracy: 0.9, interval: [0.8, 1], images: 10 } };
const missing = (about: About, others = 1) => VIEWS.filter((view) => reasonAgainst(view, about, others));

test("a finished run beside another shows everything", () => expect(missing(RUN)).toEqual([]));

test("what cannot be shown is named", () => {
  expect(missing(MODEL)).toEqual(["film", "space", "classes"]);
  expect(missing({ ...RUN, model_missing: "gone" })).toEqual(["flow", "compare", "channel"]);
  expect(missing(RUN, 0)).toEqual(["compare"]);
  expect(missing({ ...RUN, run: { ...RUN.run!, accuracy: null } })).toEqual(["classes"]);
  expect(missing({ ...MODEL, model_missing: "gone" })).toEqual([...VIEWS]);
  expect(reasonAgainst("flow", { ...RUN, model_missing: "no weights" }, 0)?.values).toEqual({ why: "no weights" });
});

const press = (key: string, more: object = {}) =>
  actionOf({ key, ctrlKey: false, metaKey: false, altKey: false, target: document.body, defaultPrevented: false, ...more });

test("numbers go to views, letters do what they say in both cases", () => {
  VIEWS.forEach((view, at) => expect(press(String(at + 1))).toEqual({ kind: "view", view }));
  expect(press("0")).toBeNull();
  expect(press("l")).toEqual({ kind: "language" });
  expect(press("T")).toEqual({ kind: "theme" });
  expect(press("?")).toEqual({ kind: "keys" });
  expect(press("x")).toBeNull();
});

test("who writes, or uses a browser's own keys, is left alone", () => {
  const made = (html: string): Element => {
    document.body.innerHTML = html;
    return document.body.firstElementChild!;
  };
  for (const html of ["<input>", "<input type=number>", "<textarea></textarea>", "<select></select>", "<dialog></dialog>"]) {
    expect(press("l", { target: made(html) }), html).toBeNull();
  }
  for (const html of ["<input type=range>", "<input type=checkbox>", "<button></button>"]) {
    expect(press("l", { target: made(html) }), html).not.toBeNull();
  }
  for (const key of ["ctrlKey", "metaKey", "altKey", "defaultPrevented"]) expect(press("l", { [key]: true })).toBeNull();
});

test("language and theme: the address, then what was chosen before, then the browser", () => {
  localStorage.clear();
  expect(firstLanguage(null, ["fr", "zh-TW", "en"])).toBe("zh-CN");
  expect(firstLanguage(null, ["de"])).toBe("en");
  localStorage.setItem("opsin-language", "zh-CN");
  localStorage.setItem("opsin-theme", "dark");
  expect(firstLanguage(null, ["en"])).toBe("zh-CN");
  expect(firstLanguage("en", ["zh"])).toBe("en");
  expect(firstLanguage("klingon", ["en"])).toBe("zh-CN");
  expect([firstTheme(null), firstTheme("light"), firstTheme("pink")]).toEqual(["dark", "light", "dark"]);
  expect([...THEMES, "light" as const].map(nextTheme)).toEqual(["light", "dark", "auto", "dark"]);
  expect(otherLanguage(otherLanguage("en"))).toBe("en");
});

test("the introduction has three steps, whatever is looked at, and goes only where there is something to show", () => {
  for (const about of [MODEL, RUN]) {
    const stops = stopsFor(about);
    expect(stops).toHaveLength(3);
    for (const stop of stops) expect(reasonAgainst(stop.view, about, 0)).toBeNull();
  }
  expect(stopsFor(MODEL).some((stop) => stop.part === "timeline")).toBe(false);
});

const NETWORK = {
  nodes: [
    { name: "input", operation: "input", inputs: [], shape: [1, 28, 28] },
    { name: "conv", operation: "conv2d", inputs: ["input"], shape: [8, 26, 26] },
    { name: "add", operation: "add", inputs: ["conv", "input"], shape: [8, 26, 26] },
  ],
};

test("the inspector knows a layer, its neighbours and its path", () => {
  expect(nodeOf(NETWORK, "conv")?.operation).toBe("conv2d");
  expect(nodeOf(NETWORK, "gone")).toBeUndefined();
  expect(nodeOf(undefined, "conv")).toBeUndefined();
  expect(takers(NETWORK, "input")).toEqual(["conv", "add"]);
  expect(pathOf(NOTHING)).toBe("");
  expect(pathOf({ ...NOTHING, layer: "conv" })).toBe("conv");
  expect(pathOf({ ...NOTHING, layer: "conv", channel: 3 })).toBe("conv[3]");
  expect(pathOf({ ...NOTHING, layer: "conv", channel: 3, unit: [3, 1, 2] })).toBe("conv[3, 1, 2]");
  expect([[8, 26, 26], [10], [], [4, 5], [2, 3, 7, 7]].map(channelsOf)).toEqual([8, 10, 1, 1, 6]);
});

test("what is chosen can be looked at elsewhere", () => {
  expect(elsewhere(NOTHING)).toEqual([]);
  const everything = { ...NOTHING, image: "a", layer: "b", channel: 1, class: 2, step: 3 };
  expect(elsewhere(everything).every(isView)).toBe(true);
  expect(elsewhere(everything)).toContain("channel");
});
