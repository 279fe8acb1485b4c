import { flushSync } from "svelte";
import { afterEach, expect, test, vi } from "vitest";
import { browserParts, type Host, hosted } from "../../parts/host.ts";
import { probe, snapshot } from "../../parts/recorded.ts";
import { floats, integers, lines } from "../../parts/timeline/lines.ts";

vi.hoisted(() => void (globalThis.matchMedia = (() => ({ matches: false, addEventListener() {} })) as never)); // uPlot asks while it loads
browserParts();
const { default: View } = await import("../../../src/views/film/View.svelte");
let host: Host;
afterEach(() => host.close());

const nothing = lines(0, 0, {
  snapshots: integers(), status: "finished",
  epochs: { epoch: integers(), step: integers(), train_loss: floats(), loss: floats(), train_accuracy: floats(), accuracy: floats(), lr: floats() },
});

test("where nothing was recorded it says how to record", async () => {
  host = await hosted(View, { steps: nothing });
  expect(host.place.textContent).toContain("opsin.record");
  host.close();
  host = await hosted(View, { steps: { ...nothing, status: "running" } }, { language: "zh-CN" });
  expect(host.place.textContent).toContain("训练已经开始");
  host.close();
  host = await hosted(View, { steps: new Error("lenet5 is a model without a run") });
  expect(host.place.textContent).toContain("There is no training to look at: lenet5 is a model without a run");
});

test("the maps and the answer of the chosen image at the chosen step", async () => {
  host = await hosted(View, { steps: lines(0, 9), probe, snapshot }, { selection: { image: "probe/1", layer: "conv", step: 30 } });
  expect(host.model.sent).toContainEqual(expect.objectContaining({ question: "snapshot", args: { step: 30, layers: ["conv"], images: [1] } }));
  expect(host.place.querySelector(".now figcaption")!.textContent).toMatch(/step 30\s+epoch 1/);
  expect(host.place.querySelector(".answer")!.textContent).toContain("<script>alert(1)</script>");
  expect(host.place.querySelector("script")).toBeNull();
  expect(host.place.textContent).toContain("2 of 6 channels are kept");
  expect(host.place.textContent).toMatch(/−3.*3 this layer.*at every step/s);
});

test("every panel has its chart, and lines at the step that is looked at", async () => {
  host = await hosted(View, { steps: lines(0, 9), probe, snapshot }, { selection: { step: 30 } });
  expect([...host.place.querySelectorAll(".curves .title")].map((title) => title.textContent)).toEqual([
    "Loss", "Accuracy", "Learning rate", "Gradient norm per layer", "Dead units per layer",
  ]);
  expect(host.place.querySelectorAll(".uplot")).toHaveLength(5);
  const before = [...host.place.querySelectorAll(".uplot")];
  host.model.hear({ kind: "changed", questions: ["steps"] });
  host.model.answer(host.model.sent.at(-1)!.id, lines(9, 12));
  await new Promise((resolve) => setTimeout(resolve));
  flushSync();
  // new lines: the charts stay, the very same elements
  const after = [...host.place.querySelectorAll(".uplot")];
  expect(after.map((chart, index) => chart === before[index])).toEqual(before.map(() => true));
});

test("a pinned step stands beside", async () => {
  host = await hosted(View, { steps: lines(0, 9), probe, snapshot }, { selection: { step: 60, beside: 0 } });
  const captions = [...host.place.querySelectorAll(".now figcaption")].map((caption) => caption.textContent!);
  expect(captions[0]).toContain("step 60");
  expect(captions[1]).toMatch(/step 0.*untrained.*pinned/s);
});

test("choosing a map chooses its channel for all views", async () => {
  host = await hosted(View, { steps: lines(0, 9), probe, snapshot });
  host.place.querySelector(".now [role=slider]")!.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
  expect(host.context.selection.now).toMatchObject({ layer: "conv", channel: 5, unit: [5, 1, 1] });
});

test("while a step changes, what is shown stays; new steps are asked for once", async () => {
  host = await hosted(View, { steps: lines(0, 9), probe, snapshot }, { selection: { step: 30 } });
  const before = host.place.querySelector(".now canvas");
  const asked = host.model.sent.length;
  host.context.selection.choose({ step: 60 });
  flushSync();
  expect(host.place.querySelector(".now canvas")).toBe(before);
  expect(host.place.querySelector(".now figcaption")!.textContent).toContain("step 60"); // it had been fetched before
  await host.settle();
  expect(host.model.sent.slice(asked).filter((sent) => sent.question === "probe" || sent.question === "steps")).toEqual([]);
});

test("events lead to their step, alarms are marked as such", async () => {
  const alarm = { step: 60, kind: "over-fitting", grave: true, message: "" };
  host = await hosted(View, { steps: lines(0, 9, { alarms: [alarm] }), probe, snapshot }, { selection: { step: 0 } });
  const entries = [...host.place.querySelectorAll<HTMLElement>(".events li")];
  expect(entries.map((entry) => entry.textContent!.includes("alarm"))).toEqual([false, true]);
  entries[1]!.querySelector("button")!.click();
  flushSync();
  expect(host.context.selection.now.step).toBe(60);
});

test("the curves are a table on request", async () => {
  host = await hosted(View, { steps: lines(0, 9), probe, snapshot });
  host.place.querySelector<HTMLButtonElement>(".curves button[aria-pressed]")!.click();
  flushSync();
  const rows = [...host.place.querySelectorAll(".curves tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent!.trim()));
  expect(rows.map((row) => row[0])).toEqual(["0", "30", "60"]);
  expect(rows[1]!.slice(1, 3)).toEqual(["1.33", "2.5"]);
});

test("a step that cannot be read says why", async () => {
  host = await hosted(View, { steps: lines(0, 9), probe, snapshot: new Error("it was not copied in full") });
  expect(host.place.querySelector(".now")!.textContent).toContain("it was not copied in full");
});
