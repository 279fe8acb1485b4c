import { describe, expect, it } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import { asMaps } from "../../../src/views/flow/filmed.svelte.ts";
import { node } from "./network.ts";

const NODES = [node("conv1", "conv2d", [], [3, 2, 2]), node("relu1", "relu", ["conv1"], [3, 2, 2]), node("fc", "linear", ["relu1"], [2])];
const SNAPSHOT = {
  step: 100,
  images: array(Int32Array.from([4])),
  probabilities: array(Float32Array.from([0.25, 0.75]), [1, 2]),
  layers: {
    conv1: { values: array(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]), [1, 2, 2, 2]), low: -1, high: 3, channels: array(Int32Array.from([0, 2])) },
    fc: { values: array(Uint8Array.from([9, 255]), [1, 2]), low: 0, high: 2, channels: array(Int32Array.from([0, 1])) },
  },
};

describe("a snapshot in place of maps", () => {
  const { probabilities, layers } = asMaps(SNAPSHOT, NODES);
  it("keeps every channel in its place, and says which were not kept", () => {
    expect(layers.conv1?.values.shape).toEqual([3, 2, 2]);
    expect([...layers.conv1!.values.data]).toEqual([1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8]);
    expect([...layers.conv1!.held!]).toEqual([0, 2]);
    expect([...layers.conv1!.low.data, ...layers.conv1!.high.data]).toEqual([-1, -1, -1, 3, 3, 3]);
    expect(layers.fc?.held).toBeUndefined();
  });
  it("shows single numbers as the network's own maps do", () => {
    expect(layers.fc?.values.shape).toEqual([2, 1, 1]);
    expect(layers.fc?.size).toEqual([1, 1]);
  });
  it("holds nothing of layers that were not recorded", () => expect(Object.keys(layers)).toEqual(["conv1", "fc"]));
  it("has the answer of that step", () => expect(probabilities).toEqual(array(Float32Array.from([0.25, 0.75]), [2])));
});
