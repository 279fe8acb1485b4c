import { flushSync } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import view from "../../../src/views/space/index.ts";
import { type FakeModel, fakeModel } from "../../protocol/fake.ts";

const labels = Int32Array.of(0, 0, 1, 1);
const ids = ["validation/0", "validation/1", "validation/2", "validation/3"];

function replies(question: string, args: Record<string, unknown>): unknown {
  if (question === "subject") return { classes: ["cat", "<b>dog</b>"] };
  if (question === "spaces") {
    return {
      kept: "input of fc", epochs: array(Int32Array.of(0, 1, 2)), steps: array(Int32Array.of(0, 10, 20)),
      layers: ["conv1"], layers_missing: null, images: 4,
    };
  }
  if (question === "thumbnails") {
    const count = (args.ids as string[]).length;
    return {
      ids: args.ids, names: args.ids, labels: array(new Int32Array(count)), grey: true,
      sizes: array(new Int32Array(2 * count).fill(1), [count, 2]), pixels: array(new Uint8Array(count)),
    };
  }
  return {
    ids, labels: array(labels), answers: array(Int32Array.of(0, 1, 1, 1)), confidence: array(Float32Array.of(0.9, 0.8, 0.7, 0.6)),
    positions: array(Float32Array.of(0, 0, 1, 0, 0, 1, 1, 1), [4, 2]), epoch: args.layer ? null : args.epoch, step: 20,
    layer: args.layer ?? "input of fc", features: 8, method: args.method ?? "pca", perplexity: null, trustworthiness: 0.75,
    neighbours: 1, purity: 0.5, purity_chance: 0.3, explained: [0.5, 0.25], change: null, before: null, notes: [],
  };
}

describe("space", () => {
  let model: FakeModel;
  let el: HTMLElement;
  let close: () => void;

  /** Answer everything that was asked, until nothing is. */
  async function settle(refuse?: string): Promise<void> {
    for (let turn = 0; turn < 12; turn++) {
      flushSync();
      for (const asked of model.sent.splice(0)) {
        history.push(asked);
        if (asked.kind !== "ask") continue;
        if (asked.question === refuse) model.hear({ kind: "error", id: asked.id, message: "no features here" });
        else model.answer(asked.id, replies(String(asked.question), asked.args as Record<string, unknown>));
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  let history: Record<string, unknown>[] = [];
  const asked = (question: string): unknown[] => history.filter((one) => one.question === question).map((one) => one.args);
  const button = (text: string): HTMLButtonElement => [...el.querySelectorAll("button")].find((one) => one.textContent?.includes(text))!;

  beforeEach(() => {
    vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null); // jsdom draws nothing
    vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
    vi.stubGlobal("matchMedia", () => ({ matches: true, addEventListener() {}, removeEventListener() {} }));
    model = fakeModel({ language: "en", selection: {}, host: "studio" });
    el = document.createElement("div");
    document.body.append(el);
    history = [];
    close = view.render({ model, el });
  });
  afterEach(() => {
    close();
    el.remove();
    vi.unstubAllGlobals();
  });

  it("shows the last epoch, and the nearest to the step that is chosen anywhere", async () => {
    await settle();
    expect(asked("space")).toEqual([{ epoch: 2 }]);
    expect(el.textContent).toContain("trustworthiness 0.750");
    model.set("selection", { step: 12 });
    await settle();
    expect(asked("space").at(-1)).toEqual({ epoch: 1 });
  });

  it("a t-SNE takes its time and can be given up", async () => {
    await settle();
    const method = el.querySelectorAll("select")[1]!;
    method.value = "tsne";
    method.dispatchEvent(new Event("change", { bubbles: true }));
    flushSync();
    expect(model.sent.map((one) => one.question)).toEqual(["layout"]);
    expect(button("Cancel")).toBeDefined();
    button("Cancel").click();
    await settle();
    expect(history.map((one) => one.kind)).toContain("cancel");
    expect(el.textContent).toContain("trustworthiness 0.750");
  });

  it("another layer is that of the network as it is now", async () => {
    await settle();
    const layer = el.querySelectorAll("select")[0]!;
    layer.value = "conv1";
    layer.dispatchEvent(new Event("change", { bubbles: true }));
    await settle();
    expect(asked("layout").at(-1)).toEqual({ method: "pca", layer: "conv1" });
    expect(el.querySelectorAll("select")[2]!.disabled).toBe(true);
  });

  it("is a table as well, without the classes that are hidden; names are text", async () => {
    await settle();
    button("Show as table").click();
    await settle();
    expect(el.querySelectorAll("tbody tr")).toHaveLength(4);
    expect(el.querySelector("tbody")!.textContent).toContain("<b>dog</b>");
    expect(el.querySelector("b")).toBe(null);
    button("<b>dog</b>").click();
    flushSync();
    expect(el.querySelectorAll("tbody tr")).toHaveLength(2);
    expect(el.querySelectorAll(".wrong")).toHaveLength(1);
    el.querySelector<HTMLButtonElement>("tbody button")!.click();
    expect(model.get("selection")).toMatchObject({ image: "validation/0" });
  });

  it("keys go from point to point and choose one everywhere", async () => {
    await settle();
    const cloud = el.querySelector<HTMLElement>("[role=application]")!;
    const press = (key: string): void => {
      cloud.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      flushSync();
    };
    press("ArrowRight");
    const first = el.querySelector("[aria-live]")!.textContent;
    expect(first).toContain("answered");
    press("ArrowDown");
    press("ArrowRight");
    press("Enter");
    expect(ids).toContain((model.get("selection") as { image: string }).image);
    press("Escape");
    expect(el.querySelectorAll("circle:not(.chosen)").length).toBe(el.querySelectorAll(".legend circle").length);
  });

  it("says what is missing where the run keeps no features", async () => {
    await settle("spaces");
    expect(el.textContent).toContain("no features here");
    expect(button("Try again")).toBeDefined();
  });
});
