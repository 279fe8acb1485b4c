import { flushSync } from "svelte";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import view from "../../../src/views/why/index.ts";
import { type FakeModel, fakeModel } from "../../protocol/fake.ts";
import { answers, evidence, maps, methods, SUBJECT } from "./fixtures.ts";

interface Asked {
  kind: string;
  id: string;
  question: string;
  args: { images: string[]; methods: string[]; method: string; target: unknown; layer: string | null; step?: number | null };
}

let model: FakeModel;
let stop: () => void;
let el: HTMLElement;
let done: Set<string>;
let found: Record<string, (asked: Asked) => object>;

const asked = (question: string): Asked[] => (model.sent as unknown as Asked[]).filter((one) => one.question === question && !done.has(one.id));

/** Answer what was asked until nothing more is, but for the questions that are held back. */
async function settle(hold: string[] = []): Promise<void> {
  for (let round = 0; round < 12; round++) {
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
const button = (name: RegExp) => {
  const one = [...el.querySelectorAll("button")].find((item) => name.test(item.getAttribute("aria-label") ?? item.textContent ?? ""));
  if (!one) throw new Error(`no button ${name}`);
  return one;
};

beforeEach(() => {
  HTMLCanvasElement.prototype.getContext = (() => null) as never;
  Element.prototype.scrollIntoView = () => {};
  globalThis.ResizeObserver = class {
    observe(): void {}
    unobserve(): void {}
    disconnect(): void {}
  };
  el = document.createElement("div");
  document.body.append(el);
  found = {
    subject: () => SUBJECT,
    methods: () => methods(),
    answers: ({ args }) => answers(args.images),
    why: ({ args }) => ({
      methods: [
        args.methods[0] === "saliency"
          ? { method: "saliency", refused: "<i>it has</i> no gradients" }
          : maps(args.methods[0] ?? "", args.images.length, args.methods[0] === "guided_backprop" ? { evidence: methods().kept.guided_backprop } : {}),
      ],
    }),
    check: ({ args }) => evidence(args.method, args.images ?? ["a"]),
    evidence: ({ args }) => evidence(args.method, ["kept"], { verdict: "fails the sanity check" }),
  };
});

afterEach(() => {
  stop();
  el.remove();
  vi.restoreAllMocks();
});

it("shows a map per image and method, each with its badge", async () => {
  show();
  await settle();
  const columns = [...el.querySelectorAll("section.column")];
  expect(columns.map((column) => column.getAttribute("aria-label"))).toEqual([
    "integrated_gradients, somebody 2020", "guided_backprop, somebody 2020", "grad_cam, somebody 2020", "saliency, somebody 2020",
  ]);
  const badges = columns.map((column) => [...column.querySelectorAll("button.badge")].map((badge) => badge.textContent?.split(",")[0]?.trim()));
  expect(badges).toEqual([
    Array(3).fill("not checked yet"), Array(3).fill("fails the sanity check"), Array(3).fill("not checked yet"), [],
  ]);
});

it("says why a method refuses, and names are text", async () => {
  show();
  await settle();
  expect(text()).toContain("<i>it has</i> no gradients");
  expect(text()).toContain("<b>probe/0</b>");
  expect(text()).toContain("<img src=x onerror=alert(1)> 90.0 %");
  expect(el.querySelector("img, b, i")).toBeNull();
});

it("checks what is shown, with progress, and shows what was found", async () => {
  show();
  await settle();
  button(/^Check$/).click();
  await settle(["check"]);
  const [check] = asked("check");
  expect(check?.args).toMatchObject({ method: "integrated_gradients", images: ["probe/0", "probe/1", "probe/2"], target: null });
  expect(check?.args).not.toHaveProperty("keep");
  model.hear({ kind: "progress", id: check?.id, what: "measuring deletion", done: 1, total: 4 });
  flushSync();
  expect(text()).toContain("measuring deletion");
  await settle();
  expect(el.querySelector("section.column button.badge")?.textContent).toContain("better than random");
});

it("a check can be cancelled", async () => {
  show();
  await settle();
  button(/^Check$/).click();
  await settle(["check"]);
  const [check] = asked("check");
  button(/^Cancel$/).click();
  await settle(["check"]);
  expect(model.sent).toContainEqual({ kind: "cancel", id: check?.id });
  expect(el.querySelector("section.column button.badge")?.textContent).toContain("not checked yet");
});

it("keeps evidence only when asked to, and then of the run's own images", async () => {
  show();
  await settle();
  el.querySelectorAll<HTMLButtonElement>("button.badge")[0]?.click();
  await settle();
  expect(text()).toContain("Nothing was measured of these maps yet");
  button(/and keep$/).click();
  await settle(["check"]);
  const [check] = asked("check");
  expect(check?.args).toEqual({ method: "integrated_gradients", layer: null, keep: true });
  await settle();
  expect(el.querySelector("section.details")?.textContent).toContain("better than random");
  expect(el.querySelector("section.details")?.textContent).toContain("kept in the run");
});

it("a badge opens to its figures, controls and protocol; Escape closes it", async () => {
  show();
  await settle();
  el.querySelectorAll<HTMLButtonElement>("button.badge")[3]?.click();
  await settle();
  const details = el.querySelector("section.details");
  for (const part of ["fails the sanity check", "[0.1, 0.3]", "0.3 [0.2, 0.4]", "steps 20", "completeness", "few images", "edges"]) {
    expect(details?.textContent).toContain(part);
  }
  details?.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  flushSync();
  expect(el.querySelector("section.details")).toBeNull();
});

it("C shows the control maps of the whole grid, but not while somebody types", async () => {
  show();
  await settle();
  const press = (target: EventTarget) => {
    target.dispatchEvent(new KeyboardEvent("keydown", { key: "c", bubbles: true }));
    flushSync();
  };
  press(el.querySelector("select") as Element);
  expect(el.querySelectorAll(".controls")).toHaveLength(0);
  press(document.body);
  expect(el.querySelectorAll(".controls")).toHaveLength(9);
});

it("a class that is chosen elsewhere is explained here", async () => {
  show();
  await settle();
  model.set("selection", { class: 1 });
  await settle(["why"]);
  expect(asked("why").map((one) => one.args.target)).toEqual([1, 1, 1, 1]);
});

it("an earlier step is asked for without a target, of the probe's images", async () => {
  show({ step: 0, image: "test/3" });
  await settle(["why"]);
  const whys = asked("why");
  expect(whys.length).toBeGreaterThan(0);
  for (const one of whys) expect(one.args).toMatchObject({ step: 0, images: ["probe/0", "probe/1", "probe/2"], target: null });
  expect(text()).toContain("Step 0");
});

it("the grid is a table on request", async () => {
  show();
  await settle();
  button(/Show as table/).click();
  flushSync();
  const rows = [...el.querySelectorAll("tbody tr")];
  expect(rows).toHaveLength(9);
  expect(rows[0]?.textContent).toContain("<b>probe/0</b>");
});

it("follows the language", async () => {
  show();
  await settle();
  model.set("language", "zh-CN");
  flushSync();
  expect(text()).toContain("尚未检验");
  expect(text()).toContain("为什么这样回答");
});
