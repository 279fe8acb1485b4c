import { expect, test } from "vitest";
import { drawnRange, type MapOfNumbers, pixels } from "../../src/drawing/maps.ts";
import { corner, hit, layout, mosaic, vectorShape } from "../../src/drawing/mosaic.ts";

/** A small generator of numbers 0..1 that is the same everywhere. */
function draws(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

function someMaps(count: number, rows: number, columns: number, seed = 1): MapOfNumbers[] {
  const next = draws(seed);
  const values = Uint8Array.from({ length: count * rows * columns }, () => Math.floor(next() * 256));
  return Array.from({ length: count }, (_, index) => ({
    values, start: index * rows * columns, rows, columns, low: -1 - (index % 3), high: 2 + (index % 2),
  }));
}

test("every pixel of a tile is found in it, and none of the gaps", () => {
  const next = draws(7);
  for (let round = 0; round < 60; round++) {
    const [count, rows, columns] = [1 + Math.floor(next() * 40), 1 + Math.floor(next() * 30), 1 + Math.floor(next() * 30)];
    const places = layout(count, rows, columns, 100 + Math.floor(next() * 900), { side: 20 + Math.floor(next() * 60), gap: Math.floor(next() * 4) });
    for (let index = 0; index < count; index++) {
      const { x, y } = corner(places, index);
      expect(hit(places, x, y)).toEqual({ index, row: 0, column: 0 });
      const last = hit(places, x + places.tileWidth - 1, y + places.tileHeight - 1)!;
      expect(last.index).toBe(index);
      expect(last.row + places.shrink).toBeGreaterThanOrEqual(rows);
      expect(last.row).toBeLessThan(rows);
      expect(last.column).toBeLessThan(columns);
      if (places.gap) expect(hit(places, x + places.tileWidth, y)).toBeNull();
    }
    expect(hit(places, -1, 0)).toBeNull();
    expect(hit(places, 0, places.height + places.gap)).toBeNull();
  }
});

test("tiles keep to the room, cells to whole pixels", () => {
  const places = layout(32, 26, 26, 600);
  expect(places).toMatchObject({ scale: 2, shrink: 1, across: 11, tileWidth: 52 });
  expect(places.width).toBeLessThanOrEqual(600);
  expect(layout(128, 1, 1, 600)).toMatchObject({ scale: 12 });
  expect(layout(128, 1, 1, 600, { cell: 24 })).toMatchObject({ scale: 24 });
  expect(layout(3, 224, 224, 600)).toMatchObject({ scale: 1, shrink: 3, tileWidth: 75 });
  expect(layout(0, 5, 5, 600).width).toBeGreaterThan(0);
});

test.each([
  ["one range for all", (): { low: number; high: number } => drawnRange({ low: -3, high: 3 })],
  ["each its own", (index: number): { low: number; high: number } => drawnRange({ low: -1 - (index % 3), high: 2 + (index % 2) })],
])("a mosaic holds what each map is drawn as: %s", (_, ranges) => {
  const maps = someMaps(10, 4, 6);
  const places = layout(10, 4, 6, 120, { side: 18 });
  const drawn = mosaic(maps, places, ranges);
  for (const [index, map] of maps.entries()) {
    const alone = pixels(map, ranges(index));
    const { x, y } = corner(places, index);
    for (let row = 0; row < places.tileHeight; row++) {
      for (let column = 0; column < places.tileWidth; column++) {
        const from = 4 * (Math.floor(row / places.scale) * 6 + Math.floor(column / places.scale));
        const at = 4 * ((y + row) * places.width + x + column);
        expect([...drawn.slice(at, at + 4)]).toEqual([...alone.slice(from, from + 4)]);
      }
    }
  }
});

test("between the tiles, and where a map is missing, there is nothing", () => {
  const [first = null] = someMaps(1, 2, 2);
  const places = layout(2, 2, 2, 100, { side: 4, gap: 3 });
  const drawn = mosaic([first, null], places, () => ({ low: 0, high: 1 }));
  const opaque = drawn.filter((_, index) => index % 4 === 3).reduce((sum, alpha) => sum + (alpha ? 1 : 0), 0);
  expect(opaque).toBe(places.tileWidth * places.tileHeight);
});

test("large maps are averaged, at the edges over what is there", () => {
  const values = Float32Array.from({ length: 9 }, (_, index) => index); // 3 x 3
  const map = { values, start: 0, rows: 3, columns: 3, low: 0, high: 0 };
  const places = { ...layout(1, 3, 3, 2, { side: 1 }), scale: 1 };
  expect(places.shrink).toBe(3);
  const two = { ...places, shrink: 2, tileWidth: 2, tileHeight: 2, width: 2, height: 2 };
  const range = { low: 0, high: 8 };
  const means = { values: Float32Array.of(2, 3.5, 6.5, 8), start: 0, rows: 2, columns: 2, low: 0, high: 0 };
  expect([...mosaic([map], two, () => range)]).toEqual([...pixels(means, range)]);
});

test("what is no number is drawn as the lowest", () => {
  const map = { values: Float32Array.of(NaN, 0), start: 0, rows: 1, columns: 2, low: 0, high: 0 };
  const places = layout(1, 1, 2, 2, { side: 2 });
  const drawn = mosaic([map], places, () => ({ low: 0, high: 1 }));
  expect([...drawn.slice(0, 4)]).toEqual([...drawn.slice(4, 8)]);
});

test("a vector is shown without a cell left over", () => {
  expect(vectorShape(128)).toEqual([8, 16]);
  expect(vectorShape(10)).toEqual([2, 5]);
  expect(vectorShape(7)).toEqual([1, 7]);
  expect(vectorShape(1)).toEqual([1, 1]);
  for (let length = 1; length < 300; length++) {
    const [rows, columns] = vectorShape(length);
    expect(rows * columns).toBe(length);
    expect(rows).toBeLessThanOrEqual(columns);
  }
});
