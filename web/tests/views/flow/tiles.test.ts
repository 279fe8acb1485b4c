import { describe, expect, it } from "vitest";
import type { Unit } from "../../../src/views/flow/answers.ts";
import { mapShape } from "../../../src/views/flow/answers.ts";
import { placesOf, tileAt, tilingOf, unitAt } from "../../../src/views/flow/tiles.ts";

const SHAPES: Unit[] = [[1, 28, 28], [32, 26, 26], [64, 11, 11], [512, 7, 7], [3, 224, 224], [1600, 1, 1], [10, 1, 1], [1, 197, 768], [12, 50, 50], [7, 5, 9]];

describe.each(SHAPES)("tiles of %i x %i x %i", (...shape) => {
  const tiling = tilingOf(shape, 60, 400);

  it("stay in their room", () => {
    expect(tiling.width).toBeLessThanOrEqual(60 + 1e-9);
    expect(tiling.height).toBeLessThanOrEqual(400 + 1e-9);
  });

  it("have a place for each channel, and each place knows its unit", () => {
    for (const channel of [0, Math.floor(shape[0] / 2), shape[0] - 1]) {
      for (const [row, column] of [[0, 0], [shape[1] - 1, shape[2] - 1], [Math.floor(shape[1] / 2), Math.floor(shape[2] / 3)]] as const) {
        const tile = tileAt(tiling, channel);
        const x = tile.left + ((column + 0.5) / shape[2]) * tile.width;
        const y = tile.top + ((row + 0.5) / shape[1]) * tile.height;
        expect(unitAt(tiling, x, y)).toEqual([channel, row, column]);
      }
    }
  });
});

describe("what lies under a point", () => {
  const tiling = tilingOf([4, 10, 10], 42, 42);
  it("is nothing between tiles and beyond them", () => {
    expect(unitAt(tiling, tiling.tileWidth + 0.5, 3)).toBeNull();
    expect(unitAt(tiling, -1, 3)).toBeNull();
    expect(unitAt(tiling, 3, 4000)).toBeNull();
  });
});

describe("a box of units", () => {
  const tiling = tilingOf([4, 10, 10], 42, 42);
  it("has a rectangle in each of its channels", () => {
    const [first] = placesOf(tiling, [1, 3, 2, 5, 0, 10]);
    expect(placesOf(tiling, [1, 3, 2, 5, 0, 10])).toHaveLength(2);
    expect(first).toMatchObject({ width: tiling.tileWidth, height: 0.3 * tiling.tileHeight });
  });
  it("of nothing has none", () => expect(placesOf(tiling, [0, 0, 0, 0, 0, 0])).toEqual([]));
});

it("shapes are shown as the host shows them", () => {
  expect([[], [5], [4, 6], [2, 3, 4], [2, 3, 4, 5]].map(mapShape)).toEqual([[1, 1, 1], [5, 1, 1], [1, 4, 6], [2, 3, 4], [6, 4, 5]]);
});
