import { describe, expect, it } from "vitest";
import { valueAt } from "../../src/drawing/maps.ts";
import { centre, crispWidth, type Heat, heatMap, heatRange, overlaid, pictureAt } from "../../src/drawing/overlay.ts";
import { array, type NdArray } from "../../src/protocol/wire.ts";

const floats = (...values: number[]) => array(Float32Array.from(values)) as NdArray<Float32Array>;

function heat(maps: number[], low: number, high: number, smallest: number, largest: number, full: number): Heat {
  return {
    maps: array(Uint8Array.from(maps), [1, 2, 3]) as NdArray<Uint8Array>,
    low: floats(low), high: floats(high), smallest: floats(smallest), largest: floats(largest), full: floats(full),
  };
}

const picture = array(
  Uint8Array.from([200, 30, 10, 0, 0, 0, 255, 255, 255, 10, 120, 240, 90, 90, 90, 33, 66, 99]),
  [1, 2, 3, 3],
);
const positive = heat([0, 51, 255, 128, 13, 230], 0, 0.9975, 0, 1, 0.9975);
const signed = heat([127, 102, 254, 191, 121, 12], -0.9975, 1.0053542, -0.9, 1, 0.9975);

const rgb = (rgba: Uint8ClampedArray) => Array.from(rgba).filter((_, at) => at % 4 !== 3);

describe("a map on its picture", () => {
  // what opsin.reporting.pictures.overlays makes of the same bytes
  it.each([
    ["positive", positive, [200, 30, 10, 19, 7, 21, 249, 248, 229, 135, 88, 111, 84, 83, 86, 200, 184, 145]],
    ["signed", signed, [200, 30, 10, 9, 15, 20, 255, 191, 122, 112, 101, 93, 85, 85, 86, 96, 164, 214]],
  ] as const)("is drawn as in Python, %s", (_, maps, expected) => {
    const drawn = rgb(overlaid(pictureAt(picture, 0), heatMap(maps, 0)));
    drawn.forEach((value, at) => expect(Math.abs(value - (expected[at] ?? -9))).toBeLessThanOrEqual(1));
  });

  it("leaves the picture where the map is zero, and all of it below a blank map", () => {
    expect(rgb(overlaid(pictureAt(picture, 0), heatMap(signed, 0))).slice(0, 3)).toEqual([200, 30, 10]);
    const blank = heat([0, 0, 0, 0, 0, 0], 0, 0, 0, 0, 0);
    expect(rgb(overlaid(pictureAt(picture, 0), heatMap(blank, 0)))).toEqual([...picture.data]);
  });

  it("zero is zero in a signed map", () => {
    expect(Math.abs(valueAt(heatMap(signed, 0).map, 0, 0))).toBeLessThan(1e-6);
  });

  it("spans as much on both sides of zero", () => {
    expect(heatRange(heatMap(positive, 0))).toEqual({ low: 0, high: heatMap(positive, 0).full });
    expect(heatRange(heatMap(signed, 0)).low).toBe(-heatMap(signed, 0).full);
  });
});

it("the centre is where the magnitude lies", () => {
  expect(centre(heatMap(heat([0, 0, 0, 0, 0, 255], 0, 1, 0, 1, 1), 0))).toEqual([1, 2]);
  expect(centre(heatMap(heat([0, 0, 0, 0, 0, 0], 0, 0, 0, 0, 0), 0))).toBeNull();
});

it("small pictures take a whole multiple of their size, large ones all the room", () => {
  expect([28, 60, 100, 224, 0].map((columns) => crispWidth(columns, 168))).toEqual([168, 120, 168, 168, 168]);
  expect(crispWidth(28, 150)).toBe(140);
});
