/** The view as a whole, before a host that answers as a small network would. */

import { flushSync, tick } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import flow from "../../../src/views/flow/index.ts";
import { type FakeModel, fakeModel } from "../../protocol/fake.ts";
import { node } from "./network.ts";

const NODES = [
  node("input", "input", [], [1, 6, 6], ""),
  node("conv1", "conv2d", ["input"], [2, 4, 4]),
  node("relu1", "relu", ["conv1"], [2, 4, 4]),
  node("fc", "linear", ["relu1"], [3]),
];

const subject = {
  name: "small", label: "small", classes: ["ant", "bee", "<script>"], input: { channels: 1, height: 6, width: 6, mode: "L" },
  model_missing: null as string | null, run: null as object | null, groups: { test: 2 }, first: "test/0",
};

function layer(shape: number[]) {
  const [channels = 1, rows = 1, columns = 1] = shape;
  return {
    values: array(new Uint8Array(channels * rows * columns).fill(200), [channels, rows, columns]),
    low: array(new Float32Array(channels).fill(-1)),
    high: array(new Float32Array(channels).fill(1)),
    size: [rows, columns],
  };
}

function answerTo(question: string, args: Record<string, unknown>, graph: object): unknown {
  switch (question) {
    case "subject":
      return subject;
    case "graph":
      return graph;
    case "images":
      return { total: 2, ids: ["test/0", "test/1"], names: ["a", "b"], labels: array(Int32Array.from([0, 1])), sizes: array(Int32Array.from([1, 1, 1, 1]), [2, 2]), grey: true, pixels: array(new Uint8Array(2)) };
    case "input":
      return { image: args.image, name: "a", label: 1, original: array(new Uint8Array(36), [6, 6, 1]), original_size: [6, 6], geometry: [0, 0, 6, 6], pixels: array(new Uint8Array(36), [6, 6, 1]), tensor: array(new Float32Array(36), [1, 6, 6]), mean: [0], std: [1] };
    case "maps":
      return { probabilities: array(Float32Array.from([0.1, 0.7, 0.2])), logits: array(new Float32Array(3)), layers: Object.fromEntries((args.layers as string[]).map((name) => [name, layer(NODES.find((item) => item.name === name)?.shape ?? [])])) };
    case "fields":
      return { receptive_field: [0, 0, 3, 3], note: "", boxes: { input: [0, 1, 0, 3, 0, 3] } };
    case "trace":
      return { layer: args.layer, operation: "linear", unit: args.unit, value: 1.5, opens: true, note: "", formula: "sum of input x weight, plus bias", bias: 0.5, total: 1.5, magnitude: 2, error: 0, agrees: true, settings: {}, details: {}, shape: [2, 4, 4], receptive_field: [0, 0, 3, 3], field_note: "", boxes: {},
        terms: { layers: ["conv1"], layer: array(new Int32Array(2)), position: array(Int32Array.from([1, 2, 3, 0, 0, 0]), [2, 3]), input: array(Float32Array.from([0.25, 2])), weight: array(Float32Array.from([4, 0])), product: array(Float32Array.from([1, 0])), weight_layers: [""], weight_layer: array(new Int32Array(2)), weight_position: array(new Int32Array(0), [2, 0]), padding: array(new Uint8Array(2)) } };
    case "probe":
      return { ids: ["probe/0"], steps: array(Int32Array.from([0, 100])), layers: [{ name: "conv1", kind: "", shape: [2, 4, 4], kept: 2 }] };
    case "snapshot":
      return { step: args.step, images: array(Int32Array.from([0])), probabilities: array(Float32Array.from([0.6, 0.3, 0.1]), [1, 3]), layers: { conv1: { values: array(new Uint8Array(32), [1, 2, 4, 4]), low: 0, high: 1, channels: array(Int32Array.from([0, 1])) } } };
    default:
      throw new Error(question);
  }
}

let model: FakeModel;
let place: HTMLElement;
let close: (() => void) | undefined;
const asked = (question: string): Record<string, unknown>[] => model.sent.filter((item) => item.question === question);

/** Let effects ask, and answer until nothing is asked any more. */
async function settle(graph: object): Promise<void> {
  for (let done = 0, quiet = 0; quiet < 3; ) {
    flushSync();
    await tick();
    const fresh = model.sent.slice(done);
    quiet = fresh.length ? 0 : quiet + 1;
    done = model.sent.length;
    for (const { id, kind, question, args } of fresh) {
      if (kind === "ask") model.answer(id, answerTo(String(question), args as Record<string, unknown>, graph));
    }
  }
}

const GRAPH = { nodes: NODES, output: "fc", failed: null, exported: true, note: "", parameters: {} };

async function shown(selection: object, graph: object = GRAPH, language = "en"): Promise<void> {
  model = fakeModel({ host: "studio", language, selection });
  close = flow.render({ model, el: place });
  await settle(graph);
}

beforeEach(() => {
  // jsdom lays nothing out: a width has to be told
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(500);
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
  place = document.createElement("div");
  document.body.append(place);
});
afterEach(() => {
  close?.();
  place.remove();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const selected = (): Record<string, unknown> => model.get("selection") as Record<string, unknown>;
const press = (key: string): void => void place.querySelector(".flow")?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));

describe("the flow view", () => {
  it("shows every layer in place and the answer, of the first picture", async () => {
    await shown({});
    expect([...place.querySelectorAll(".node code")].map((item) => item.textContent)).toEqual(["input", "conv1", "relu1", "fc"]);
    expect(place.querySelector("li.top")?.textContent).toContain("bee");
    expect(asked("maps").map((item) => item.args)).toEqual([{ image: "test/0", layers: ["input", "conv1", "relu1", "fc"], side: 56 }]);
  });

  it("shows names of classes as text, whatever they hold", async () => {
    await shown({});
    expect(place.querySelector("script")).toBeNull();
    expect(place.textContent).toContain("<script>");
  });

  it("goes deeper by a click on a layer, and back by Escape, level by level", async () => {
    await shown({ image: "test/1" });
    place.querySelectorAll<HTMLButtonElement>(".node .tile")[1]?.click();
    await settle(GRAPH);
    expect(selected()).toMatchObject({ layer: "conv1", channel: null });
    model.set("selection", { ...selected(), channel: 1, unit: [1, 2, 3] });
    await settle(GRAPH);
    expect(place.textContent).toContain("model.conv1[1, 2, 3]");
    press("Escape");
    expect(selected()).toMatchObject({ layer: "conv1", channel: 1, unit: null });
    press("Escape");
    press("Escape");
    expect(selected()).toMatchObject({ layer: null, channel: null, unit: null });
  });

  it("opens a term in the layer that it comes from", async () => {
    await shown({ image: "test/0", layer: "fc", channel: 0, unit: [0, 0, 0] });
    const term = [...place.querySelectorAll<HTMLButtonElement>("td button")].find((item) => item.textContent === "conv1[1, 2, 3]");
    term?.click();
    expect(selected()).toMatchObject({ layer: "conv1", channel: 1, unit: [1, 2, 3] });
  });

  it("says why a network fails, and shows it up to there", async () => {
    const failed = { node: "fc", module: "fc", operation: "linear", message: "flatten gives 1600, fc expects 10816", inputs: ["relu1"] };
    await shown({}, { ...GRAPH, nodes: NODES.slice(0, 3), output: "", failed, exported: false });
    expect(place.querySelector("[role=alert]")?.textContent).toContain("flatten gives 1600, fc expects 10816");
    expect(place.querySelectorAll(".node")).toHaveLength(4);
    expect(asked("maps")[0]?.args).toMatchObject({ layers: ["input", "conv1", "relu1"] });
  });

  it("shows an earlier step of watched pictures, and says so where it cannot", async () => {
    subject.run = {};
    try {
      await shown({ image: "probe/0", step: 90 });
      expect(place.querySelector("[role=status]")?.textContent).toContain("step 100");
      expect(place.querySelector("li.top")?.textContent).toContain("ant");
      model.set("selection", { ...selected(), image: "test/1" });
      await settle(GRAPH);
      expect(place.querySelector("[role=status]")?.textContent).toContain("as it is now");
      expect(place.querySelector("li.top")?.textContent).toContain("bee");
      [...place.querySelectorAll<HTMLButtonElement>("[role=status] button")].at(-1)?.click();
      await settle(GRAPH);
      expect(selected().step).toBeNull();
      expect(place.querySelector("[role=status]")).toBeNull();
    } finally {
      subject.run = null;
    }
  });

  it("asks nothing about steps of a model that no run trained", async () => {
    await shown({ image: "test/0", step: 90 });
    expect([...asked("probe"), ...asked("snapshot")]).toEqual([]);
  });

  it("says what is missing where there is no network, and asks nothing of it", async () => {
    subject.model_missing = "no weights yet";
    try {
      await shown({});
      expect(place.textContent).toContain("no weights yet");
      expect(asked("graph")).toEqual([]);
    } finally {
      subject.model_missing = null;
    }
  });

  it("speaks Chinese", async () => {
    await shown({}, GRAPH, "zh-CN");
    expect(place.textContent).toContain("输出");
    expect(place.textContent).not.toMatch(/\bAnswer\b/);
  });

  it("leaves nothing behind", async () => {
    await shown({});
    close?.();
    close = undefined;
    expect(place.innerHTML).toBe("");
  });
});
