import { flushSync } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import view from "../../../src/views/compare/index.ts";
import { type FakeModel, fakeModel } from "../../protocol/fake.ts";

const f32 = (...values: number[]) => array(Float32Array.from(values));
const i32 = (...values: number[]) => array(Int32Array.from(values));
let others: string[] = [];

function replies(question: string, args: Record<string, unknown>): unknown {
  const ids = (args.ids ?? []) as string[];
  if (question === "subject") return { name: "mine", classes: ["0", "1"] };
  if (question === "others") return { ids: others, names: others.map((id) => `run ${id}`), methods: ["grad_cam", "saliency"] };
  if (question === "thumbnails") return { ids, names: ids, labels: i32(...ids.map(() => 0)), grey: true, sizes: array(new Int32Array(2 * ids.length).fill(1), [ids.length, 2]), pixels: array(new Uint8Array(ids.length)) };
  if (question === "compare_maps") {
    const map = array(Uint8Array.of(0, 255, 0, 0), [1, 2, 2]);
    return {
      ids: args.images, targets: i32(0), probability_a: f32(0.9), probability_b: f32(0.2), maps_a: map, low_a: f32(0), high_a: f32(1), maps_b: map, low_b: f32(0), high_b: f32(1),
      agreement: { spearman: f32(0.25), ssim: f32(0.5), top_overlap: f32(0.75) }, unlike: null, verdict_a: "better than random", verdict_b: "not checked yet", layer_a: "conv2", layer_b: "features",
    };
  }
  return {
    names: ["mine", `run ${args.other}`], images: 3, accuracy_a: 1, accuracy_b: 2 / 3, difference: -1 / 3, interval: [-0.9, 0], p_value: 1, both_right: 2, only_a: 1, only_b: 0, both_wrong: 0,
    ids: ["test/0", "test/1", "test/2"], labels: i32(0, 1, 1), answers_a: i32(0, 1, 1), answers_b: i32(0, 0, 1), confidence_a: f32(0.9, 0.8, 0.7), confidence_b: f32(0.9, 0.6, 0.99),
    truth_a: f32(0.9, 0.8, 0.7), truth_b: f32(0.9, 0.4, 0.99), distance: f32(0, 0.4, 0.29), classes: ["<i>0</i>", "1"], excluded: 0, notes: [],
  };
}

describe("compare", () => {
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
  const rows = (): string[] => [...el.querySelectorAll("tbody tr button")].map((one) => one.getAttribute("aria-label") ?? "");

  beforeEach(() => {
    vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null); // jsdom draws nothing
    others = ["x", "y"];
    history = [];
    model = fakeModel({ language: "en", selection: {}, host: "studio" });
    el = document.createElement("div");
    document.body.append(el);
  });
  afterEach(() => {
    close();
    el.remove();
  });
  const show = async (): Promise<void> => {
    close = view.render({ model, el });
    await settle();
  };

  it("says what to do where there is nothing to compare with", async () => {
    others = [];
    await show();
    expect(el.textContent).toContain("opsin studio RUNS");
    expect(asked("compare")).toEqual([]);
  });

  it("what differs comes first, and its maps are shown", async () => {
    await show();
    expect(asked("compare")).toEqual([{ other: "x", split: "test" }]);
    expect(rows()).toEqual(["Choose test/1", "Choose test/2", "Choose test/0"]);
    expect(asked("compare_maps")).toEqual([{ other: "x", images: ["test/1"], method: "grad_cam", target: "a" }]);
    expect(el.textContent).toContain("better than random");
    expect(el.textContent).toContain("0.25");
    expect(el.querySelector("i")).toBe(null);
  });

  it("a kind of image is listed alone; choosing one chooses it everywhere", async () => {
    await show();
    [...el.querySelectorAll<HTMLButtonElement>(".kinds button")].find((one) => one.textContent?.includes("both right"))!.click();
    await settle();
    expect(rows()).toEqual(["Choose test/2", "Choose test/0"]);
    el.querySelectorAll<HTMLButtonElement>("tbody button")[1]!.click();
    await settle();
    expect(model.get("selection")).toMatchObject({ image: "test/0" });
    expect(asked("compare_maps").at(-1)).toMatchObject({ images: ["test/0"] });
  });

  it("another run is compared when it is chosen, and a method that another view chose is used", async () => {
    model.set("selection", { method: "saliency", image: "own/1" });
    await show();
    expect(asked("compare_maps").at(-1)).toMatchObject({ method: "saliency", images: ["own/1"], target: "a" });
    const select = el.querySelector("select")!;
    select.value = "y";
    select.dispatchEvent(new Event("change", { bubbles: true }));
    await settle();
    expect(asked("compare").at(-1)).toEqual({ other: "y", split: "test" });
    expect(el.textContent).toContain("run y");
  });
});
