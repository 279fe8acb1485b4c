import { expect, test } from "vitest";
import { chosen, NOTHING, selection } from "../../src/protocol/selection.svelte.ts";
import { fakeModel } from "./fake.ts";

test("another layer leaves channel and unit behind", () => {
  const before = { ...NOTHING, layer: "conv1", channel: 3, unit: [3, 1, 1] as [number, number, number] };
  expect(chosen(before, { layer: "conv2" })).toMatchObject({ layer: "conv2", channel: null, unit: null });
  expect(chosen(before, { layer: "conv1" })).toMatchObject({ channel: 3 });
  expect(chosen(before, { layer: "conv2", unit: [5, 0, 0] })).toMatchObject({ channel: 5, unit: [5, 0, 0] });
});

test("two selections of a model are one", () => {
  const model = fakeModel();
  const [one, other] = [selection(model), selection(model)];
  one.choose({ image: "probe/1", step: 100 });
  expect(other.now).toMatchObject({ image: "probe/1", step: 100 });
});
