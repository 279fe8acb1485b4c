import { describe, expect, it } from "vitest";
import { grid, inCells, nearest, towards } from "../../../src/views/space/grid.ts";

/** Numbers 0..1, the same at every run (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function cloud(count: number, seed: number): Float32Array {
  const draw = random(seed);
  return Float32Array.from({ length: 2 * count }, () => draw() ** 3 * 10 - 5);
}

const all = (): boolean => true;

describe("the grid", () => {
  it("finds the nearest point as a search over all does", () => {
    for (const [count, seed] of [[1, 1], [2, 2], [50, 3], [2000, 4]] as const) {
      const positions = cloud(count, seed);
      const cells = grid(positions);
      const draw = random(seed + 100);
      for (let turn = 0; turn < 200; turn++) {
        const [x, y, within] = [draw() * 12 - 6, draw() * 12 - 6, draw() * 2];
        let [best, least] = [-1, within * within];
        for (let index = 0; index < count; index++) {
          const distance = (positions[2 * index]! - x) ** 2 + (positions[2 * index + 1]! - y) ** 2;
          if (distance < least) [best, least] = [index, distance];
        }
        expect(nearest(cells, positions, x, y, within, all)).toBe(best);
      }
    }
  });

  it("holds every point once", () => {
    const positions = cloud(500, 7);
    const found = [...inCells(grid(positions), -1e9, -1e9, 1e9, 1e9)].sort((a, b) => a - b);
    expect(found).toEqual(Array.from({ length: 500 }, (_, index) => index));
  });

  it("passes over hidden points and places that are not numbers", () => {
    const positions = Float32Array.of(0, 0, 1, 0, NaN, NaN);
    expect(nearest(grid(positions), positions, 0, 0, 5, (index) => index !== 0)).toBe(1);
    expect(nearest(grid(positions), positions, 0, 0, Infinity, () => false)).toBe(-1);
    expect(grid(Float32Array.of(NaN, NaN)).members).toHaveLength(0);
    expect(nearest(grid(new Float32Array(0)), new Float32Array(0), 0, 0, Infinity, all)).toBe(-1);
  });

  it("stays small where an outlier stretches it", () => {
    const positions = cloud(100, 5);
    positions[0] = 1e6;
    const cells = grid(positions);
    expect(cells.rows * cells.columns).toBeLessThan(1.1e6);
  });
});

describe("arrows", () => {
  const cross = Float32Array.of(0, 0, 1, 0, 3, 0.1, 0, -2, -1, 0, 0.2, 1);

  it("go to the nearest point ahead", () => {
    expect(towards(cross, 0, 1, 0, all)).toBe(1);
    expect(towards(cross, 1, 1, 0, all)).toBe(2);
    expect(towards(cross, 0, -1, 0, all)).toBe(4);
    expect(towards(cross, 0, 0, -1, all)).toBe(3);
    expect(towards(cross, 0, 0, 1, all)).toBe(5);
  });

  it("stay where nothing lies ahead", () => {
    expect(towards(cross, 2, 1, 0, all)).toBe(-1);
    expect(towards(cross, 0, 1, 0, (index) => index > 2)).toBe(-1);
  });
});
