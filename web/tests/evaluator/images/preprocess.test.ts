import { describe, expect, it } from "vitest";
import type { Pixels } from "../../../src/evaluator/images/pixels.ts";
import { geometry, normalise, type Preprocess, round, seen } from "../../../src/evaluator/images/preprocess.ts";

const digits: Preprocess = {
  mode: "L",
  height: 4,
  width: 4,
  fit: "crop",
  crop: 1,
  interpolation: "bilinear",
  mean: [0.5],
  std: [0.25],
};

function grey(height: number, width: number, f: (y: number, x: number) => number): Pixels {
  const data = Uint8Array.from({ length: height * width }, (_, at) => f(Math.floor(at / width), at % width));
  return { height, width, channels: 1, data };
}

describe("preprocess", () => {
  it("takes the middle of a wide picture, and shrinks by the mean of what is covered", () => {
    const halves = grey(8, 16, (_, x) => (x < 8 ? 0 : 200));
    expect(geometry(halves, digits)).toEqual({ top: 0, left: 4, bottom: 8, right: 12 });
    const row = [...seen(halves, digits).data.subarray(0, 4)];
    expect(row).toEqual([0, 25, 175, 200]); // the triangle of two pixels' reach: 1/8 falls over the edge
  });

  it("shows the whole picture between bars", () => {
    const padded = { ...digits, fit: "pad" as const };
    const wide = grey(2, 4, () => 100);
    expect([...seen(wide, padded).data]).toEqual([0, 0, 0, 0, 100, 100, 100, 100, 100, 100, 100, 100, 0, 0, 0, 0]);
    expect(geometry(wide, padded)).toEqual({ top: -1, left: -0, bottom: 3, right: 4 });
  });

  it("leaves a picture of the right size as it is", () => {
    const same = grey(4, 4, (y, x) => y * 4 + x);
    expect(seen(same, digits).data).toEqual(same.data);
  });

  it("nearest takes the pixel under the centre", () => {
    const found = seen(
      grey(8, 8, (_, x) => x * 10),
      { ...digits, interpolation: "nearest" },
    );
    expect([...found.data.subarray(0, 4)]).toEqual([10, 30, 50, 70]);
  });

  it("normalises channels first", () => {
    const colour: Pixels = { height: 1, width: 2, channels: 3, data: Uint8Array.from([0, 255, 51, 255, 0, 51]) };
    const found = normalise(colour, { ...digits, mode: "RGB", mean: [0, 0.5, 0.2], std: [1, 0.5, 0.1] });
    expect(found.shape).toEqual([3, 1, 2]);
    [0, 1, 1, -1, 0, 0].forEach((value, at) => expect(found.data[at]).toBeCloseTo(value, 6));
  });

  it("rounds halves to even, as Python does", () => {
    expect([0.5, 1.5, 2.5, -1.5, 2.4, 2.6].map(round)).toEqual([0, 2, 2, -2, 2, 3]);
  });
});
