import { flushSync } from "svelte";
import { afterEach, expect, test } from "vitest";
import { type Wanted, watched, type Watched } from "../../src/parts/snapshots.svelte.ts";
import { viewContext } from "../../src/protocol/context.svelte.ts";
import { type FakeModel, fakeModel } from "../protocol/fake.ts";
import { floats, integers } from "./timeline/lines.ts";

const STEPS = Array.from({ length: 40 }, (_, index) => 10 * index);
let close = (): void => {};
afterEach(() => close());

interface Scene {
  model: FakeModel;
  frames: Watched;
  go(step: number, image?: number): void;
  /** Answer what was asked for a step, the oldest first. */
  answer(step: number): Promise<void>;
  asked(): number[];
}

function scene(): Scene {
  const model = fakeModel();
  const context = viewContext(model);
  let wanted = $state.raw<Wanted>({ step: 100, layers: ["conv"], images: [0] });
  let frames!: Watched;
  const end = $effect.root(() => {
    frames = watched(context, () => wanted, () => STEPS);
  });
  close = () => {
    end();
    context.close();
  };
  flushSync();
  const stepOf = (sent: Record<string, unknown>): number => (sent.args as Wanted).step;
  const answered = new Set<unknown>();
  return {
    model,
    frames,
    go(step, image = 0) {
      wanted = { step, layers: ["conv"], images: [image] };
      flushSync();
    },
    async answer(step) {
      const found = model.sent.find((sent) => stepOf(sent) === step && !answered.has(sent.id))!;
      answered.add(found.id);
      model.answer(found.id, { step, images: integers(0), probabilities: floats(1), layers: {} });
      await new Promise((resolve) => setTimeout(resolve));
      flushSync();
    },
    asked: () => model.sent.map(stepOf),
  };
}

test("what is wanted is asked first, then what lies around it in the direction of the move", async () => {
  const { asked, answer, go } = scene();
  expect(asked()).toEqual([100, 110, 90, 120]);
  await answer(100);
  expect(asked().slice(4)).toEqual([130]);
  for (const step of [110, 90, 120, 130]) await answer(step);
  expect(asked().slice(5)).toEqual([80, 140, 150, 70]);
  go(90);
  await answer(140);
  expect(asked().at(-1)).toBe(60); // the direction has turned
});

test("at most four questions are on their way, however fast a person scrubs", () => {
  const { asked, go } = scene();
  for (let step = 110; step < 390; step += 10) go(step);
  expect(asked()).toHaveLength(4);
});

test("a newer answer is never replaced by an older one, and something is seen on the way", async () => {
  const { frames, answer, go } = scene();
  go(110);
  go(120);
  expect(frames.waiting).toBe(true);
  await answer(100);
  expect(frames.shown?.step).toBe(100);
  await answer(120);
  expect(frames.shown?.step).toBe(120);
  expect(frames.waiting).toBe(false);
  await answer(110);
  expect(frames.shown?.step).toBe(120);
});

test("what is known is shown at once", async () => {
  const { frames, answer, go } = scene();
  await answer(100);
  await answer(110);
  go(110);
  expect(frames.shown?.step).toBe(110);
  expect(frames.waiting).toBe(false);
});

test("an answer of another image is not shown any more", async () => {
  const { frames, answer, go, model } = scene();
  go(100, 3);
  await answer(100);
  expect(frames.shown).toBeUndefined();
  expect(model.sent.some((sent) => (sent.args as Wanted).images?.[0] === 3)).toBe(true);
});

test("why a step cannot be shown is told, and only of the one that is wanted", async () => {
  const { frames, model, go } = scene();
  model.hear({ kind: "error", id: model.sent[1]!.id, message: "torn" });
  await new Promise((resolve) => setTimeout(resolve));
  expect(frames.error).toBeNull();
  model.hear({ kind: "error", id: model.sent[0]!.id, message: "torn" });
  await new Promise((resolve) => setTimeout(resolve));
  flushSync();
  expect(frames.error).toBe("torn");
  go(120);
  expect(frames.error).toBeNull();
});
