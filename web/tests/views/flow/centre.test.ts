import { describe, expect, it } from "vitest";
import { centred, FRAME, INNER, type Ink } from "../../../src/views/flow/centre.ts";

/** A drawing of 280 x 280 with filled rectangles (top, left, bottom, right). */
function ink(...boxes: [number, number, number, number][]): Ink {
  const values = new Uint8Array(280 * 280);
  for (const [top, left, bottom, right] of boxes) {
    for (let row = top; row < bottom; row++) values.fill(255, row * 280 + left, row * 280 + right);
  }
  return { values, rows: 280, columns: 280 };
}

function massOf(values: Uint8Array): [number, number] {
  let [total, down, across] = [0, 0, 0];
  values.forEach((value, index) => {
    total += value;
    down += value * Math.floor(index / FRAME);
    across += value * (index % FRAME);
  });
  return [down / total, across / total];
}

function extent(values: Uint8Array): { rows: number; columns: number } {
  const filled = [...values.keys()].filter((index) => (values[index] ?? 0) > 0);
  const rows = filled.map((index) => Math.floor(index / FRAME));
  const columns = filled.map((index) => index % FRAME);
  return { rows: Math.max(...rows) - Math.min(...rows) + 1, columns: Math.max(...columns) - Math.min(...columns) + 1 };
}

describe("a drawn digit becomes what MNIST's digits are", () => {
  it("is nothing where nothing is drawn", () => expect(centred(ink())).toBeNull());

  it.each([
    ["tall", [[10, 100, 210, 160]]],
    ["wide", [[200, 5, 230, 270]]],
    ["tiny", [[3, 3, 10, 9]]],
    ["heavy at one end", [[20, 20, 240, 40], [220, 20, 240, 200]]],
  ] as [string, [number, number, number, number][]][])("%s: fills %s with its centre of mass in the middle", (_, boxes) => {
    const found = centred(ink(...boxes))!;
    const { rows, columns } = extent(found.values);
    expect(Math.max(rows, columns)).toBe(INNER);
    const [down, across] = massOf(found.values);
    // to half a pixel, as far as the frame lets it
    expect(Math.abs(down - (FRAME - 1) / 2)).toBeLessThanOrEqual(0.51);
    expect(Math.abs(across - (FRAME - 1) / 2)).toBeLessThanOrEqual(0.51);
  });

  it("keeps proportions", () => {
    const { values } = centred(ink([40, 40, 240, 140]))!;
    expect(extent(values)).toEqual({ rows: 20, columns: 10 });
  });

  it("does not care where or how large it was drawn", () => {
    const small = centred(ink([10, 10, 110, 60]))!;
    const large = centred(ink([60, 130, 260, 230]))!;
    expect([...small.values]).toEqual([...large.values]);
    expect(small.scale).toBeCloseTo(2 * large.scale);
  });

  it("lets a thin pen be as black as a thick one", () => {
    const { values } = centred(ink([20, 138, 260, 142], [20, 40, 24, 142]))!;
    expect(Math.max(...values)).toBe(255);
  });

  it("says what was cut out and where its centre of mass is", () => {
    const { box, mass } = centred(ink([20, 40, 120, 80]))!;
    expect(box).toEqual([20, 40, 120, 80]);
    expect(mass[0]).toBeCloseTo(70);
    expect(mass[1]).toBeCloseTo(60);
  });

  it("stays in the frame, however lopsided", () => {
    // a long faint tail and a heavy head: the centre of mass would push the tail out
    const drawing = ink([0, 0, 60, 60]);
    for (let column = 60; column < 280; column++) drawing.values[30 * 280 + column] = 40;
    const { values } = centred(drawing)!;
    expect(extent(values).columns).toBe(INNER);
  });
});
