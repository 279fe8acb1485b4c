/// <reference types="node" />
/** The evaluator against PyTorch and Pillow. Started by tests/reporting/views/test_evaluator.py, which writes the fixtures. */

import { describe, expect, it } from "vitest";
import { geometry, normalise, type Preprocess, seen } from "../../src/evaluator/images/preprocess.ts";
import { type Move, moved } from "../../src/evaluator/images/moving.ts";
import { type Network, run } from "../../src/evaluator/run.ts";
import { levels, type MapShape } from "../../src/evaluator/shown.ts";
import type { NdArray } from "../../src/protocol/wire.ts";
import { fixture, fixtures } from "./fixtures.ts";

interface Picture {
  pixels: NdArray<Uint8Array>;
  preprocess: Preprocess;
  seen: NdArray<Uint8Array>;
  tensor: NdArray<Float32Array>;
  geometry: [number, number, number, number];
}

describe.runIf(fixtures("picture").length > 0)("pictures", () => {
  it.each(fixtures("picture"))("%s", (name) => {
    const given = fixture<Picture>(name);
    const [height, width, channels] = given.pixels.shape as [number, number, number];
    const picture = { height, width, channels, data: given.pixels.data };
    const found = seen(picture, given.preprocess);
    expect([found.height, found.width, found.channels]).toEqual(given.seen.shape);
    // equal to the bit, but for Lanczos: the sines of two libraries differ in their last digit
    expect(mostApart(found.data, given.seen.data)).toBeLessThanOrEqual(given.preprocess.interpolation === "lanczos" ? 1 : 0);
    const tensor = normalise(found, given.preprocess);
    expect(tensor.shape).toEqual(given.tensor.shape);
    expect(mostApart(normalise({ ...found, data: given.seen.data }, given.preprocess).data, given.tensor.data)).toBeLessThan(1e-6);
    const box = geometry(picture, given.preprocess);
    expect(mostApart([box.top, box.left, box.bottom, box.right], given.geometry)).toBeLessThan(1e-9);
  });
});

interface Moved {
  pixels: NdArray<Uint8Array>;
  moves: { shift: [number, number]; rotate: number; scale: number; moved: NdArray<Uint8Array> }[];
}

describe.runIf(fixtures("moved").length > 0)("moved pictures", () => {
  it.each(fixtures("moved"))("%s", (name) => {
    const given = fixture<Moved>(name);
    const [height, width, channels] = given.pixels.shape as [number, number, number];
    for (const move of given.moves) {
      const found = moved({ height, width, channels, data: given.pixels.data }, move satisfies Move);
      // sines of two libraries may differ in their last digit, which decides a tie of the rounding
      expect(mostApart(found.data, move.moved.data)).toBeLessThanOrEqual(1);
      expect(found.data.filter((value, at) => value !== move.moved.data[at]).length).toBeLessThan(found.data.length / 1000);
    }
  });
});

interface Shown {
  maps: NdArray<Float32Array>;
  side: number | null;
  values: NdArray<Uint8Array>;
  low: NdArray<Float32Array>;
  high: NdArray<Float32Array>;
}

describe.runIf(fixtures("shown").length > 0)("maps as bytes", () => {
  it.each(fixtures("shown"))("%s", (name) => {
    const given = fixture<Shown>(name);
    const found = levels(given.maps.data, given.maps.shape as unknown as MapShape, given.side);
    expect(found.shape).toEqual(given.values.shape);
    expect(mostApart(found.values, given.values.data)).toBeLessThanOrEqual(1); // sums in another order
    expect(mostApart(found.low, given.low.data)).toBe(0);
    expect(mostApart(found.high, given.high.data)).toBe(0);
  });
});

interface Ran {
  network: Network;
  input: NdArray<Float32Array>;
  values: Record<string, NdArray<Float32Array>>;
}

const TOLERANCE = 1e-4; // of the layer's largest magnitude

describe.runIf(fixtures("network").length > 0)("networks", () => {
  it.each(fixtures("network"))("%s", (name) => {
    const given = fixture<Ran>(name);
    const found = run(given.network, given.input);
    expect([...found.keys()]).toEqual(Object.keys(given.values));
    for (const [node, expected] of Object.entries(given.values)) {
      expect([node, found.get(node)!.shape]).toEqual([node, expected.shape]);
      const gap = mostApart(found.get(node)!.data, expected.data) / (largest(expected.data) || 1);
      expect(gap, `${node} differs by ${gap} of its largest magnitude`).toBeLessThan(TOLERANCE);
    }
  });
});

function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
}

function mostApart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let index = 0; index < a.length; index++) {
    const gap = a[index] === b[index] ? 0 : Math.abs(a[index]! - b[index]!);
    most = Number.isNaN(gap) ? Infinity : Math.max(most, gap);
  }
  return most;
}

it.runIf(process.env.OPSIN_FIXTURES === undefined)("waits for the fixtures of the Python test", () => {
  expect(fixtures("picture")).toEqual([]);
});
