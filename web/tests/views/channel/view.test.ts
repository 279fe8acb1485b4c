import { flushSync } from "svelte";
import { afterEach, beforeEach, expect, it } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import view from "../../../src/views/channel/index.ts";
import { type FakeModel, fakeModel } from "../../protocol/fake.ts";

interface Asked {
  id: string;
  question: string;
  args: { layer: string | null; channel: number; seed: number };
}

let model: FakeModel;
let stop: () => void;
let el: HTMLElement;
let done: Set<string>;
let changes: Record<string, unknown>;

const floats = (...values: number[]) => array(Float32Array.from(values));
const LAYERS = [{ name: "conv1", kind: "Conv2d", channels: 3, rows: 2, columns: 2 }, { name: "relu1", kind: "ReLU", channels: 3, rows: 2, columns: 2 }];
const found: Record<string, (asked: Asked) => object> = {
  subject: () => ({ classes: ["<b>cat</b>", "dog"], model_missing: null }),
  channel: ({ args }) => ({
    layer: args.layer ?? "conv1", kind: "Conv2d", channel: args.channel, channels: 3, rows: 2, columns: 2, layers: LAYERS,
    filter: array(Float32Array.from([1, -2, 3, 4]), [1, 2, 2]), filter_inputs: [0, 0], bias: 0.5, source: "validation", images: 9,
    counts: array(Int32Array.from([1, 4])), low: 0, high: 2, zeros: 0.25, mean: 0.5, smallest: 0, largest: 2,
    class_means: floats(1, 0.5), class_counts: array(Int32Array.from([4, 5])), top: { images: 9, quick: true }, quick_dream: true, ...changes,
  }),
  top_images: () => ({
    ids: ["validation/4"], names: ["<i>x</i>.png"], values: floats(2), crops: array(new Uint8Array(12), [1, 2, 2, 3]), places: array(Int32Array.from([1, 0]), [1, 2]),
    boxes: array(Int32Array.from([0, 0, 2, 2]), [1, 4]), size: [4, 4], field: "structural", ignored: [], dead: false, images: 9, copies: 0,
    class_means: floats(1, 0.5), selectivity: 0.33, preferred: 0, p_value: 0.01, selective: true, notes: [],
  }),
  answers: () => ({ names: ["<i>x</i>.png"], pixels: array(new Uint8Array(16), [1, 4, 4, 1]) }),
  dream: ({ args }) => ({
    frames: array(new Uint8Array(3 * 16), [3, 4, 4, 1]), steps: array(Int32Array.from([0, 100, 256])), activations: floats(0, 1, 2), final: 2,
    noise: floats(0.1, 0.2), real: floats(0.5), label: "dream", seconds: 1, seed: args.seed, notes: [],
  }),
};

const asked = (question: string): Asked[] => (model.sent as unknown as Asked[]).filter((one) => one.question === question && !done.has(one.id));

async function settle(hold: string[] = []): Promise<void> {
  for (let round = 0; round < 10; round++) {
    flushSync();
    for (const question of Object.keys(found).filter((name) => !hold.includes(name))) {
      for (const one of asked(question)) {
        done.add(one.id);
        model.answer(one.id, found[question]?.(one));
      }
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  flushSync();
}

function show(selection: object = {}): void {
  model = fakeModel({ host: "studio", language: "en", motion: "off", selection });
  done = new Set();
  stop = view.render({ model, el });
}

const text = () => el.textContent ?? "";
const chosen = () => model.get("selection") as { layer: string; channel: number; image: string; unit: number[] };

function click(name: RegExp): void {
  const one = [...el.querySelectorAll("button")].find((item) => name.test(item.getAttribute("aria-label") ?? item.textContent ?? ""));
  if (!one) throw new Error(`no button ${name}`);
  one.click();
}

beforeEach(() => {
  HTMLCanvasElement.prototype.getContext = (() => null) as never;
  el = document.createElement("div");
  document.body.append(el);
  changes = {};
});

afterEach(() => {
  stop();
  el.remove();
});

it("shows the channel from all sides, and names are text", async () => {
  show({ layer: "relu1", channel: 1 });
  await settle();
  for (const part of ["relu1[:, 1]", "reaches 2", "random pictures at most 0.2", "real images at most 0.5", "25.0 % are exactly 0", "bias 0.5", "<b>cat</b>", "<i>x</i>.png", "Selective for <b>cat</b>"]) {
    expect(text()).toContain(part);
  }
  expect(el.querySelector("b:not(p > b), i, img")).toBeNull();
});

it("goes to the next and the previous channel, around the ends, by button and key", async () => {
  show({ layer: "conv1", channel: 2 });
  await settle();
  click(/Next channel/);
  expect(chosen()).toMatchObject({ layer: "conv1", channel: 0 });
  await settle();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "[", bubbles: true }));
  expect(chosen().channel).toBe(2);
});

it("another seed is another picture", async () => {
  show();
  await settle();
  click(/Another seed/);
  await settle(["dream"]);
  expect(asked("dream").map((one) => one.args.seed)).toEqual([1]);
  expect(text()).not.toContain("reaches 2");
});

it("what takes long waits until somebody asks for it", async () => {
  changes = { quick_dream: false, top: { images: 9, quick: false } };
  show();
  await settle(["dream", "top_images"]);
  expect(asked("dream")).toEqual([]);
  expect(asked("top_images")).toEqual([]);
  click(/^Dream$/);
  click(/Look through 9/);
  await settle(["dream", "top_images"]);
  expect(asked("dream")).toHaveLength(1);
  expect(asked("top_images")).toHaveLength(1);
  await settle();
  expect(text()).toContain("reaches 2");
  click(/Next channel/);
  await settle(["dream"]);
  expect(asked("dream")).toEqual([]);
});

it("a crop chooses its image and the unit that it excites", async () => {
  show({ layer: "conv1", channel: 1 });
  await settle();
  click(/Crop of <i>x<\/i>\.png/);
  expect(chosen()).toMatchObject({ image: "validation/4", unit: [1, 1, 0], channel: 1 });
});

it("without a run it is said what is missing", async () => {
  changes = { top: null, class_means: null, class_counts: null };
  show();
  await settle();
  expect(text()).toContain("open the run that trained this network");
  expect(text()).toContain("have no labels");
});

it("a layer that is none can be left", async () => {
  show({ layer: "add_1" });
  await settle(["channel"]);
  model.hear({ kind: "error", id: asked("channel")[0]?.id, message: "add_1 is no module" });
  await settle(["channel"]);
  expect(text()).toContain("add_1 is no module");
  click(/last layer with places/);
  await settle();
  expect(text()).toContain("conv1[:, 0]");
});

it("the histogram is a table on request", async () => {
  show();
  await settle();
  click(/Show as table/);
  flushSync();
  expect([...el.querySelectorAll(".rows tbody tr")].map((row) => row.textContent)).toEqual(["011", "124"]);
});
