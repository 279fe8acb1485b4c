import { expect, test } from "vitest";
import { valueAt } from "../../../src/drawing/maps.ts";
import { array } from "../../../src/protocol/wire.ts";
import { type LiveLayer, liveMaps, liveRange } from "../../../src/views/maps/shown.ts";
import { floats } from "../../parts/timeline/lines.ts";

const layer = (low: number[], high: number[]): LiveLayer => ({
  values: array(Uint8Array.from([0, 255, 0, 51]), [2, 1, 2]) as LiveLayer["values"], low: floats(...low), high: floats(...high), size: [1, 2],
});

test("every map has a range of its own", () => {
  const maps = liveMaps(layer([0, -5], [2, 5]));
  expect(maps.map((map) => [map.start, map.low, map.high])).toEqual([[0, 0, 2], [2, -5, 5]]);
  expect(valueAt(maps[1]!, 0, 1)).toBeCloseTo(-3);
});

test("colours span one map, its layer, or all", () => {
  const layers = { a: layer([0, -5], [2, 5]), b: layer([-7, 0], [1, 1]) };
  expect(liveRange(layers, "a", "unit")).toBeNull();
  expect(liveRange(layers, "a", "layer")).toEqual({ low: -5, high: 5 });
  expect(liveRange(layers, "a", "global")).toEqual({ low: -7, high: 5 });
  expect(liveRange({}, "a", "layer")).toBeNull();
});
