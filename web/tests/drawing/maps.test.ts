import { expect, test } from "vitest";
import { DIVERGING, LEVELS, SEQUENTIAL } from "../../src/drawing/colours.ts";
import { drawnRange, type MapOfNumbers, pixels, rangeOf, valueAt } from "../../src/drawing/maps.ts";

const map: MapOfNumbers = { values: new Float32Array([9, 0, 0.5, 1, -1]), start: 1, rows: 1, columns: 3, low: 0, high: 0 };

test("colours run from the first to the last entry of the map", () => {
  const drawn = pixels(map, { low: 0, high: 1 });
  expect([...drawn.slice(0, 3)]).toEqual([...SEQUENTIAL.slice(0, 3)]);
  expect([...drawn.slice(4, 7)]).toEqual([...SEQUENTIAL.slice(3 * 127, 3 * 127 + 3)]);
  expect([...drawn.slice(8, 11)]).toEqual([...SEQUENTIAL.slice(3 * (LEVELS - 1))]);
});

test("signed maps are drawn around zero", () => {
  expect(drawnRange({ low: -1, high: 3 })).toEqual({ low: -3, high: 3 });
  const zero = pixels({ ...map, values: new Float32Array([0]), start: 0, columns: 1 }, { low: -3, high: 3 });
  expect([...zero.slice(0, 3)]).toEqual([...DIVERGING.slice(3 * 127, 3 * 127 + 3)]);
});

test("bytes stand for their range", () => {
  const bytes: MapOfNumbers = { values: new Uint8Array([0, 255, 51]), start: 0, rows: 1, columns: 3, low: -1, high: 4 };
  expect([0, 1, 2].map((column) => valueAt(bytes, 0, column))).toEqual([-1, 4, 0]);
  expect(rangeOf(map)).toEqual({ low: 0, high: 1 });
});
