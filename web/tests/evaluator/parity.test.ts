/** The evaluator against PyTorch and Pillow. Started by tests/reporting/views/test_evaluator.py, which writes the fixtures. */

import { describe, expect, it } from "vitest";
import { geometry, normalise, type Preprocess, seen } from "../../src/evaluator/images/preprocess.ts";
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

function mostApart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let index = 0; index < a.length; index++) {
    const gap = Math.abs(a[index]! - b[index]!);
    most = Number.isNaN(gap) ? Infinity : Math.max(most, gap);
  }
  return most;
}

it.runIf(process.env.OPSIN_FIXTURES === undefined)("waits for the fixtures of the Python test", () => {
  expect(fixtures("picture")).toEqual([]);
});
