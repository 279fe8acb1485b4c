import { expect, test } from "vitest";
import { merged } from "../../../src/parts/timeline/history.ts";
import { aligned, MOST_LAYERS, panels, spread } from "../../../src/views/film/panels.ts";
import { floats, integers, lines } from "../../parts/timeline/lines.ts";

const history = merged(null, lines(0, 9));

test("only what was recorded has a panel", () => {
  expect(panels(history).map((panel) => panel.name)).toEqual(["loss", "accuracy", "lr", "gradients", "dead"]);
  expect(panels(merged(null, lines(0, 0, {
    epochs: { epoch: integers(), step: integers(), train_loss: floats(), loss: floats(), train_accuracy: floats(), accuracy: floats(), lr: floats() },
  })))).toEqual([]);
});

test("where epochs are not known batches are the line of training", () => {
  const none = merged(null, lines(0, 9, {
    epochs: { epoch: integers(), step: integers(), train_loss: floats(), loss: floats(), train_accuracy: floats(), accuracy: floats(), lr: floats() },
  }));
  expect(panels(none)[0]!.lines.map((line) => line.kind)).toEqual(["train"]);
  expect(panels(history)[0]!.lines.map((line) => line.kind)).toEqual(["step", "train", "validation"]);
});

test("layers without a dead channel have no line; the others show shares", () => {
  const dead = { conv: { count: floats(NaN, 2, 4), total: 8 }, fc: { count: floats(0, 0, 0), total: 4 } };
  const panel = panels(merged(null, lines(0, 3, { dead }))).find((entry) => entry.name === "dead")!;
  expect(panel.lines.map((line) => line.name)).toEqual(["conv"]);
  expect(Array.from(panel.lines[0]!.values)).toEqual([NaN, 0.25, 0.5]);
});

test("of many layers an even selection is drawn, and the chosen one", () => {
  const gradient_norms = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`layer${index}`, floats(1, 2, 3)]));
  const many = merged(null, lines(0, 3, { gradient_norms }));
  const shown = (chosen: string | null): string[] => panels(many, chosen).find((panel) => panel.name === "gradients")!.lines.map((line) => line.name);
  expect(shown(null)).toHaveLength(MOST_LAYERS);
  expect(shown(null)[0]).toBe("layer0");
  expect(shown(null).at(-1)).toBe("layer39");
  expect(shown("layer1")).toEqual(["layer0", "layer1", ...shown(null).slice(1)]);
  expect(panels(many, "layer1").find((panel) => panel.name === "gradients")!.left).toBe(40 - MOST_LAYERS - 1);
});

test("lines with steps of their own share one axis", () => {
  const [steps, batches, training] = aligned(panels(history)[0]!);
  expect(steps).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80]);
  expect(batches![0]).toBeNull(); // nothing is known of the loss at step 0
  expect(training).toEqual([null, null, 3, null, 2, null, null, null, null]);
});

test("a logarithmic panel leaves zeros out", () => {
  const panel = panels(merged(null, lines(0, 3, { gradient_norms: { conv: floats(0, 1, 2) } }))).find((entry) => entry.name === "gradients")!;
  expect(aligned(panel)[1]).toEqual([null, 1, 2]);
});

test("an even selection holds the first and the last", () => {
  expect(spread(33, 9)).toEqual([0, 4, 8, 12, 16, 20, 24, 28, 32]);
  expect(spread(3, 9)).toEqual([0, 1, 2]);
  expect(spread(9, 1)).toEqual([8]);
  expect(spread(0, 4)).toEqual([]);
});
