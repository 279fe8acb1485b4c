import { flushSync, mount, unmount } from "svelte";
import { afterEach, expect, test } from "vitest";
import Timeline from "../../../src/parts/timeline/Timeline.svelte";
import type { StepsAnswer } from "../../../src/parts/timeline/history.ts";
import { type ViewContext, viewContext } from "../../../src/protocol/context.svelte.ts";
import { type FakeModel, fakeModel } from "../../protocol/fake.ts";
import { lines } from "./lines.ts";

let close = (): void => {};
afterEach(() => close());

const later = async (): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve));
  flushSync();
};

interface Scene {
  model: FakeModel;
  context: ViewContext;
  place: HTMLElement;
  slider(): HTMLInputElement;
  press(target: EventTarget, key: string, more?: KeyboardEventInit): void;
}

async function scene(answer: StepsAnswer | string, selection: object = {}): Promise<Scene> {
  const model = fakeModel({ selection, motion: "off" });
  const context = viewContext(model);
  const place = document.createElement("div");
  document.body.append(place);
  const component = mount(Timeline, { target: place, props: { context } });
  close = () => {
    void unmount(component);
    context.close();
    place.remove();
  };
  flushSync();
  const { id } = model.sent[0]!;
  if (typeof answer === "string") model.hear({ kind: "error", id, message: answer });
  else model.answer(id, answer);
  await later();
  return {
    model, context, place,
    slider: () => place.querySelector<HTMLInputElement>("input[type=range]")!,
    press(target, key, more = {}) {
      target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
      flushSync();
    },
  };
}

const alarm = { step: 30, kind: "swapped", grave: true, message: "", classes: ["<script>", "dog"] };

test("the slider goes over the snapshots and says where it is", async () => {
  const { slider, context, place } = await scene(lines(0, 10));
  expect(slider().max).toBe("3"); // snapshots at 0, 30, 60, 90
  expect(slider().value).toBe("3"); // nothing chosen: the last
  slider().value = "1";
  slider().dispatchEvent(new Event("input", { bubbles: true }));
  flushSync();
  expect(context.selection.now.step).toBe(30);
  expect(slider().getAttribute("aria-valuetext")).toBe("step 30 of 90, epoch 1");
  expect(place.querySelector(".readings")!.textContent).toMatch(/loss\s*1.33/);
});

test("a step without a snapshot is shown at the nearest one", async () => {
  const { slider } = await scene(lines(0, 10), { step: 50 });
  expect(slider().value).toBe("2");
});

test("P plays and pauses, but not where a person writes", async () => {
  const { place, press, context } = await scene(lines(0, 10), { step: 90 });
  const label = (): string | null => place.querySelector(".play")!.getAttribute("aria-label");
  const input = document.createElement("input");
  place.append(input);
  press(input, "p");
  press(document.body, "p", { ctrlKey: true });
  expect(label()).toBe("Play (P)");
  press(document.body, "p");
  expect(label()).toBe("Pause (P)");
  expect(context.selection.now.step).toBe(0); // from the end it begins anew
  press(document.body, "P");
  expect(label()).toBe("Play (P)");
});

test("a second step is pinned, moved with Shift and arrows, and let go", async () => {
  const { place, press, slider, context } = await scene(lines(0, 10), { step: 30 });
  const pin = place.querySelector<HTMLButtonElement>("button[aria-pressed]")!;
  pin.click();
  flushSync();
  expect(context.selection.now.beside).toBe(30);
  press(slider(), "ArrowRight", { shiftKey: true });
  expect(context.selection.now).toMatchObject({ step: 30, beside: 60 });
  press(slider(), "ArrowRight");
  expect(context.selection.now.beside).toBe(60);
  expect(place.querySelector(".pinned")).not.toBeNull();
  pin.click();
  flushSync();
  expect(context.selection.now.beside).toBeNull();
});

test("alarms are flags and a list that leads to them", async () => {
  const { place, context } = await scene(lines(0, 10, { alarms: [alarm] }), { step: 0 });
  expect(place.querySelectorAll(".flag")).toHaveLength(1);
  const count = place.querySelector<HTMLButtonElement>(".count")!;
  expect(count.textContent!.trim()).toBe("0"); // none up to step 0
  count.click();
  flushSync();
  const [entry] = place.querySelectorAll<HTMLButtonElement>(".list button");
  expect(entry!.textContent).toContain("<script> is called dog");
  expect(place.querySelector("script")).toBeNull();
  entry!.click();
  flushSync();
  expect(context.selection.now.step).toBe(30);
  expect(count.textContent!.trim()).toBe("1");
});

test("new lines are asked for behind those that are known; who is at the newest step stays there", async () => {
  const { model, slider, context } = await scene(lines(0, 10), { step: 90 });
  const before = slider();
  model.hear({ kind: "changed", questions: ["steps"] });
  await later();
  expect(model.sent.at(-1)).toMatchObject({ question: "steps", args: { start: 10 } });
  model.answer(model.sent.at(-1)!.id, lines(10, 13));
  await later();
  expect(slider()).toBe(before); // the same element: nothing was drawn anew
  expect(slider().max).toBe("4");
  expect(context.selection.now.step).toBe(120);
});

test("who looks at an earlier step stays there", async () => {
  const { model, context } = await scene(lines(0, 10), { step: 30 });
  model.hear({ kind: "changed", questions: ["steps"] });
  model.answer(model.sent.at(-1)!.id, lines(10, 13));
  await later();
  expect(context.selection.now.step).toBe(30);
});

test("without a snapshot, or without a run, it says so", async () => {
  const empty = await scene(lines(0, 0));
  expect(empty.place.textContent).toContain("No snapshots yet");
  close();
  const none = await scene("lenet5 is a model without a run");
  expect(none.place.textContent).toContain("lenet5 is a model without a run");
  expect(none.place.querySelector("input")).toBeNull();
});
