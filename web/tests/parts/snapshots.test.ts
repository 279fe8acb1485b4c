import { expect, test } from "vitest";
import { valueAt } from "../../src/drawing/maps.ts";
import {
  filmRange, firstLayer, hasPlaces, imageOf, likeliest, mapsOf, type Probe, probePosition, type Snapshot, vectorMap,
} from "../../src/parts/snapshots.ts";
import { array, type NdArray } from "../../src/protocol/wire.ts";
import { floats, integers } from "./timeline/lines.ts";

const bytes = (shape: number[]): NdArray<Uint8Array> => {
  const size = shape.reduce((product, length) => product * length, 1);
  return array(Uint8Array.from({ length: size }, (_, index) => index % 256), shape) as NdArray<Uint8Array>;
};

const layer = { values: bytes([2, 3, 4, 5]), low: -1, high: 1, channels: integers(0, 4, 9) };

test("maps of an image are its channels, levels stand between the layer's ends", () => {
  const maps = mapsOf(layer, 1);
  expect(maps).toHaveLength(3);
  expect(maps[2]!.start).toBe((3 + 2) * 20);
  expect(valueAt(maps[0]!, 1, 2)).toBeCloseTo(-1 + (2 * (60 + 7)) / 255);
  expect(hasPlaces(layer)).toBe(true);
});

test("a layer without places is one map of all its features", () => {
  const flat = { ...layer, values: bytes([2, 12]) };
  expect(hasPlaces(flat)).toBe(false);
  expect(vectorMap(flat, 1)).toMatchObject({ start: 12, rows: 3, columns: 4 });
  expect(mapsOf(flat, 1)).toHaveLength(12);
  expect(mapsOf(flat, 1)[5]).toMatchObject({ start: 17, rows: 1, columns: 1 });
});

const probe = {
  layers: [
    { name: "fc", kind: "Linear", shape: [4], kept: 4, low: floats(0, -9), high: floats(1, 2) },
    { name: "conv", kind: "Conv2d", shape: [3, 4, 5], kept: 3, low: floats(-1, -2), high: floats(3, 1) },
  ],
} as unknown as Probe;

test("colours span the layer at every step, all layers, or each map its own", () => {
  expect(filmRange(probe, "conv", "layer")).toEqual({ low: -2, high: 3 });
  expect(filmRange(probe, "conv", "global")).toEqual({ low: -9, high: 3 });
  expect(filmRange(probe, "conv", "unit")).toBeNull();
  expect(filmRange(probe, "none", "layer")).toBeNull();
  expect(firstLayer(probe.layers)?.name).toBe("conv");
});

test("only images of the probe have a position", () => {
  expect(["probe/0", "probe/5", "probe/6", "test/1", "probe/x", null].map((id) => probePosition(id, 6))).toEqual([0, 5, null, null, null, null]);
});

test("the likeliest classes of an image", () => {
  const snapshot = { probabilities: { ...floats(0.1, 0.7, 0.2, 0.4, 0.2, 0.4), shape: [2, 3] } } as unknown as Snapshot;
  expect(likeliest(snapshot, 0, 2).map((entry) => entry.index)).toEqual([1, 2]);
  expect(likeliest(snapshot, 1, 9).map((entry) => entry.index)).toEqual([0, 2, 1]);
});

test("one image of a stack", () => {
  const one = imageOf(bytes([3, 2, 2, 3]), 2);
  expect(one.shape).toEqual([2, 2, 3]);
  expect([...one.data]).toEqual(Array.from({ length: 12 }, (_, index) => 24 + index));
});
