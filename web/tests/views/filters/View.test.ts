import { flushSync } from "svelte";
import { afterEach, expect, test } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import View from "../../../src/views/filters/View.svelte";
import { browserParts, type Host, hosted } from "../../parts/host.ts";
import { floats, integers, lines } from "../../parts/timeline/lines.ts";

browserParts();
let host: Host;
afterEach(() => host.close());

function bank(args: { layer?: string; step?: number }): object {
  const first = args.layer !== "deep";
  const [inputs, side] = first ? [3, 5] : [4, 3];
  const weights = Float32Array.from({ length: 2 * inputs * side * side }, (_, index) => Math.sin(index));
  return {
    layers: ["stem", "deep"], layer: first ? "stem" : "deep", first, step: args.step ?? null,
    weights: array(weights, [2, inputs, side, side]), outputs: integers(0, 7), total: 8, peak: 1,
    fit: first ? null : "kernel", needed: 24,
  };
}
const gabor = {
  share: 0.5, control_share: 0.125, controls: 64, threshold: 0.8, r2: floats(0.9, 0.1),
  like: array(Uint8Array.of(1, 0)), dead: array(new Uint8Array(2)), flat: array(new Uint8Array(2)),
};

test("the first filters are pictures; how many are Gabor-like is measured when it is wanted", async () => {
  host = await hosted(View, { steps: lines(0, 9), filters: bank, gabor });
  expect(host.place.querySelectorAll(".bank canvas")).toHaveLength(2);
  expect(host.place.textContent).toContain("2 of 8 filters are shown");
  expect(host.model.sent.some((sent) => sent.question === "gabor")).toBe(false);
  host.place.querySelector<HTMLButtonElement>(".gabor button")!.click();
  await host.settle();
  expect(host.place.querySelector(".gabor")!.textContent).toMatch(/50\.0 %.*12\.5 %.*64 random filters/s);
  const [like, other] = host.place.querySelectorAll(".bank button");
  expect(like!.getAttribute("aria-label")).toBe("filter 0, Gabor-like");
  expect(other!.getAttribute("aria-label")).toBe("filter 7");
});

test("the step and the convolution that are chosen are asked for; other layers change nothing", async () => {
  host = await hosted(View, { steps: lines(0, 9), filters: bank }, { selection: { step: 30, layer: "relu" } });
  expect(host.model.sent.filter((sent) => sent.question === "filters").map((sent) => sent.args)).toEqual([{ step: 30 }]);
  host.context.selection.choose({ layer: "deep", channel: 7 });
  await host.settle();
  expect(host.model.sent.at(-1)).toMatchObject({ question: "filters", args: { layer: "deep", step: 30 } });
  expect(host.place.textContent).toContain("Filter 7: one kernel per input channel");
});

test("choosing a filter chooses its channel", async () => {
  host = await hosted(View, { steps: lines(0, 9), filters: bank });
  host.place.querySelectorAll<HTMLButtonElement>(".bank button")[1]!.click();
  flushSync();
  expect(host.context.selection.now).toMatchObject({ layer: "stem", channel: 7 });
});

test("as a table it holds the norms", async () => {
  host = await hosted(View, { steps: new Error("a model without a run"), filters: bank });
  host.place.querySelector<HTMLButtonElement>("header button[aria-pressed]")!.click();
  flushSync();
  const sum = Array.from({ length: 75 }, (_, index) => Math.sin(index) ** 2).reduce((total, square) => total + square, 0);
  expect(host.place.querySelector("tbody tr td:last-child")!.textContent).toBe(String(Number(Math.sqrt(sum).toPrecision(3))));
});

test("where there are no filters it says why", async () => {
  host = await hosted(View, { steps: lines(0, 9), filters: new Error("the network has no convolution") });
  expect(host.place.textContent).toContain("No filters: the network has no convolution");
});
