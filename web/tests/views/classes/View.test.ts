import { flushSync } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import view from "../../../src/views/classes/index.ts";
import { type FakeModel, fakeModel } from "../../protocol/fake.ts";

const f32 = (...values: number[]) => array(Float32Array.from(values));
let status = "finished";
let matrix: number[] = [];

function replies(question: string, args: Record<string, unknown>): unknown {
  const count = Math.sqrt(matrix.length);
  const filled = (value: number) => array(new Float32Array(count).fill(value));
  if (question === "subject") return { classes: Array.from({ length: count }, (_, index) => `kind ${index}`), run: { status } };
  if (question === "curves") return { index: args.index, roc: array(f32(0, 0, 2, 0, 1, 0.5, 1, 1, 0).data, [3, 3]), pr: array(f32(0, 1, 2, 1, 1, 0.5, 1, 0.3, 0).data, [3, 3]), auroc: 1, prevalence: 0.3, thresholds: [{ rule: "specificity >= 0.95", threshold: 0.5, sensitivity: 1, specificity: 1 }] };
  if (question === "gallery") return { total: 1, ids: ["test/4"], labels: array(Int32Array.of(0)), answers: array(Int32Array.of(1)), confidence: f32(0.9), truth: f32(0.1) };
  if (question === "thumbnails") return { ids: args.ids, names: args.ids, labels: array(Int32Array.of(0)), grey: true, sizes: array(Int32Array.of(1, 1), [1, 2]), pixels: array(Uint8Array.of(3)) };
  return {
    split: args.split, splits: { validation: 5, test: 10 }, epochs: array(Int32Array.of(1, 2)), steps: array(Int32Array.of(10, 20)),
    epoch: args.epoch, step: null, images: 10, accuracy: 0.9, interval: [0.7, 0.98], confusion: array(Int32Array.from(matrix), [count, count]),
    pairs: { truth: array(Int32Array.of(0)), answer: array(Int32Array.of(1)), count: array(Int32Array.of(1)), share: f32(0.2) },
    support: array(new Int32Array(count).fill(5)), precision: filled(0.5), recall: filled(0.5), low: filled(0.4), high: filled(0.6), f1: filled(0.5), auroc: filled(0.9),
    reliability: array(f32(0.5, 0.4, 10).data, [1, 3]), calibrated: null, ece: 0.1, ece_calibrated: null, temperature: null, brier: 0.2, nll: 0.3, excluded: 0,
  };
}

describe("classes", () => {
  let model: FakeModel;
  let el: HTMLElement;
  let close: () => void;
  let history: Record<string, unknown>[] = [];

  async function settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      flushSync();
      for (const asked of model.sent.splice(0)) {
        history.push(asked);
        if (asked.kind === "ask") model.answer(asked.id, replies(String(asked.question), asked.args as Record<string, unknown>));
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  const asked = (question: string): unknown[] => history.filter((one) => one.question === question).map((one) => one.args);
  const show = (): void => {
    model = fakeModel({ language: "en", selection: {}, host: "studio" });
    el = document.createElement("div");
    document.body.append(el);
    history = [];
    close = view.render({ model, el });
  };

  beforeEach(() => {
    vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null); // jsdom draws nothing
    [status, matrix] = ["finished", [4, 1, 0, 5]];
  });
  afterEach(() => {
    close();
    el.remove();
  });

  it("a cell opens its images and chooses its class everywhere", async () => {
    show();
    await settle();
    el.querySelector<HTMLButtonElement>('[data-cell="0,1"]')!.click();
    await settle();
    expect(asked("gallery")).toEqual([{ split: "test", true: 0, predicted: 1, count: 48 }]);
    expect(el.querySelector(".gallery")!.textContent).toContain("kind 0 answered kind 1: 1 image");
    expect(model.get("selection")).toMatchObject({ class: 0 });
    el.querySelector<HTMLButtonElement>(".gallery li button")!.click();
    expect(model.get("selection")).toMatchObject({ image: "test/4" });
  });

  it("an empty cell opens nothing; arrows walk over it", async () => {
    show();
    await settle();
    const press = (at: string, key: string): void => {
      const cell = el.querySelector<HTMLElement>(`[data-cell="${at}"]`)!;
      cell.focus();
      cell.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      flushSync();
    };
    press("0,0", "ArrowDown");
    expect(document.activeElement?.getAttribute("data-cell")).toBe("1,0");
    (document.activeElement as HTMLElement).click();
    await settle();
    expect(asked("gallery")).toEqual([]);
  });

  it("a training that goes on shows validation images only", async () => {
    status = "running";
    show();
    await settle();
    expect(asked("classes").every((args) => (args as { split: string }).split === "validation")).toBe(true);
  });

  it("validation figures follow the time; the single answers of the past are not kept", async () => {
    show();
    await settle();
    [...el.querySelectorAll("button")].find((one) => one.textContent?.includes("validation"))!.click();
    model.set("selection", { step: 11 });
    await settle();
    expect(asked("classes").at(-1)).toEqual({ split: "validation", epoch: 1 });
    expect(el.textContent).toContain("after epoch 1");
    el.querySelector<HTMLButtonElement>('[data-cell="0,1"]')!.click();
    await settle();
    expect(asked("gallery")).toEqual([]);
    expect(el.textContent).toContain("finished network only");
  });

  it("many classes are a picture that keys walk over", async () => {
    matrix = Array.from({ length: 30 * 30 }, (_, at) => (at % 31 === 0 ? 5 : 0));
    show();
    await settle();
    const picture = el.querySelector<HTMLElement>("[role=application]")!;
    const press = (key: string): void => {
      picture.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      flushSync();
    };
    press("ArrowDown");
    press("ArrowRight");
    expect(el.querySelector("[aria-live]")!.textContent).toContain("kind 1 answered kind 1: 5");
    press("Enter");
    await settle();
    expect(asked("gallery").at(-1)).toMatchObject({ true: 1, predicted: 1 });
  });

  it("the threshold is marked on the curves of the class that is chosen", async () => {
    show();
    await settle();
    expect(asked("curves")).toEqual([{ index: 0, split: "test" }]);
    const labels = [...el.querySelectorAll("svg[role=img]")].map((one) => one.getAttribute("aria-label"));
    expect(labels.filter((label) => label?.includes("threshold for specificity 95.0 %: 0.5"))).toHaveLength(2);
    model.set("selection", { class: 1 });
    await settle();
    expect(asked("curves").at(-1)).toEqual({ index: 1, split: "test" });
  });
});
