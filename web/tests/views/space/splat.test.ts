import { describe, expect, it } from "vitest";
import { density, densityPixels } from "../../../src/views/space/density.ts";
import { byClass, mark, SHAPES, splat, type Style } from "../../../src/views/space/splat.ts";

const size = { width: 40, height: 30 };
const camera = { x: 0, y: 0, scale: 1 };
const RED = [200, 10, 20] as const;
const BLUE = [10, 20, 200] as const;

function style(opacity: number[]): Style {
  return {
    marks: SHAPES.map((shape) => mark(shape, 3)), colours: Uint8Array.of(...RED, ...BLUE), unknown: [9, 9, 9],
    opacity: Uint8Array.from(opacity),
  };
}

function drawn(positions: number[], labels: number[], looks: Style, weight: Uint8Array | null = null): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(4 * size.width * size.height).fill(77);
  const points = { positions: Float32Array.from(positions), labels: Int32Array.from(labels), weight };
  splat(pixels, size, camera, points, looks, byClass(points.labels, looks.opacity.length - 1));
  return pixels;
}

const at = (pixels: Uint8ClampedArray, x: number, y: number): number[] => [...pixels.subarray(4 * (y * size.width + x), 4 * (y * size.width + x) + 4)];
const covered = (pixels: Uint8ClampedArray): number => pixels.reduce((sum, value, index) => sum + (index % 4 === 3 && value > 0 ? 1 : 0), 0);

describe("marks", () => {
  it("are symmetric and of about their area", () => {
    for (const shape of SHAPES) {
      const { side, cover } = mark(shape, 4);
      const mirrored = cover.map((_, index) => cover[Math.floor(index / side) * side + side - 1 - (index % side)]!);
      expect(mirrored).toEqual(cover);
    }
    const area = mark("dot", 4).cover.reduce((sum, value) => sum + value / 255, 0);
    expect(Math.abs(area - Math.PI * 16)).toBeLessThan(1.5);
  });

  it("differ from each other", () => {
    const [dot, cross, square] = SHAPES.map((shape) => mark(shape, 4).cover.join(","));
    expect(new Set([dot, cross, square]).size).toBe(3);
  });
});

describe("points as pixels", () => {
  it("stand where the camera sees them, in the colour of their class", () => {
    const pixels = drawn([5, -3], [1], style([255, 255, 255]));
    expect(at(pixels, 25, 12)).toEqual([...BLUE, 255]);
    expect(at(pixels, 5, 5)).toEqual([0, 0, 0, 0]);
  });

  it("of hidden classes leave nothing", () => {
    expect(covered(drawn([0, 0], [0], style([0, 255, 255])))).toBe(0);
  });

  it("without a class take the colour of unknown ones", () => {
    expect(at(drawn([0, 0], [-1], style([255, 255, 255])), 20, 15)).toEqual([9, 9, 9, 255]);
    expect(covered(drawn([0, 0], [-1], style([255, 255, 0])))).toBe(0);
  });

  it("are cut off at the edge and never written beyond it", () => {
    const whole = covered(drawn([0, 0], [0], style([255, 255, 255])));
    const corner = covered(drawn([-20, -15], [0], style([255, 255, 255])));
    expect(corner).toBeGreaterThan(0);
    expect(corner).toBeLessThan(whole / 2);
    expect(covered(drawn([-500, 0, 500, 0, NaN, NaN], [0, 0, 0], style([255, 255, 255])))).toBe(0);
  });

  it("blend as one layer over another", () => {
    const looks = style([255, 128, 255]);
    const [red, , blue, alpha] = at(drawn([0, 0, 0, 0], [0, 1], looks), 20, 15);
    expect(alpha).toBe(255);
    expect(red).toBeCloseTo((BLUE[0] * 128 + RED[0] * 127) / 255, -0.5);
    expect(blue).toBeCloseTo((BLUE[2] * 128 + RED[2] * 127) / 255, -0.5);
    const [thin, , , half] = at(drawn([0, 0], [1], looks), 20, 15);
    expect([thin, half]).toEqual([BLUE[0], 128]);
  });

  it("have a weight each", () => {
    const pixels = drawn([-10, 0, 10, 0], [0, 0], style([255, 255, 255]), Uint8Array.of(255, 51));
    expect(at(pixels, 10, 15)[3]).toBe(255);
    expect(at(pixels, 30, 15)[3]).toBe(51);
  });

  it("take the next mark where the colours are used up", () => {
    const looks = style([255, 255, 255, 255]);
    const dot = covered(drawn([0, 0], [0], looks));
    const cross = covered(drawn([0, 0], [2], looks));
    expect(cross).not.toBe(dot);
    expect(at(drawn([0, 0], [2], looks), 20, 15).slice(0, 3)).toEqual([...RED]);
  });

  it("are sorted by class, each once", () => {
    const { order, starts } = byClass(Int32Array.of(2, 0, -1, 0, 7), 3);
    expect([...order]).toEqual([1, 3, 0, 2, 4]);
    expect([...starts]).toEqual([0, 2, 2, 3, 5]);
  });
});

describe("density", () => {
  it("counts the points of each cell and mixes their colours", () => {
    const points = { positions: Float32Array.of(0, 0, 1, 1, 0.5, 0.5, 900, 0, -15, -12), labels: Int32Array.of(0, 1, 1, 0, 0) };
    const found = density(size, camera, points, style([255, 255, 255]), 10);
    expect([found.columns, found.rows]).toEqual([4, 3]);
    expect(found.counts[1 * 4 + 2]).toBe(3);
    expect(found.counts[0]).toBe(1);
    expect(found.counts.reduce((a, b) => a + b)).toBe(4);
    expect(found.colours[3 * 6]).toBeCloseTo((RED[0] + 2 * BLUE[0]) / 3);
    expect(found.crowding).toBe(2);
    const pixels = densityPixels(found);
    expect(pixels[4 * 6 + 3]).toBe(255);
    expect(pixels[3]).toBeLessThan(255);
    expect(pixels[4 * 5 + 3]).toBe(0);
  });

  it("leaves out what is hidden", () => {
    const points = { positions: Float32Array.of(0, 0, 0, 0), labels: Int32Array.of(0, -1) };
    expect(density(size, camera, points, style([0, 255, 255]), 10).counts.reduce((a, b) => a + b)).toBe(1);
    expect(density(size, camera, points, style([0, 255, 0]), 10).crowding).toBe(0);
  });
});
