import { expect, it } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import { curveLines } from "../../../src/views/why/curves.ts";
import type { Curve } from "../../../src/views/why/types.ts";

const both = { en: "x", "zh-CN": "x" };

it("lines share one scale with zero in it", () => {
  const points = array(Float32Array.from([0, 1, -0.5, 0.5, 0.5, 0, 1, 0, 0.5]), [3, 3]);
  const plot = curveLines({ name: both, share: both, columns: ["explanation", "random"], points } as Curve, 100, 34);
  expect([plot.low, plot.high]).toEqual([-0.5, 1]);
  expect(plot.lines.map((line) => [line.name, line.last])).toEqual([["explanation", 0], ["random", 0.5]]);
  expect(plot.lines[0]?.path).toBe("M0.0 2.0L50.0 12.0L100.0 22.0");
  expect(plot.zero).toBeCloseTo(22);
});

it("flat and short curves are drawn too", () => {
  const points = array(Float32Array.from([0, 0]), [1, 2]);
  const plot = curveLines({ name: both, share: both, columns: ["explanation"], points } as Curve, 100, 34);
  expect(plot.lines[0]?.path).toBe("M0.0 17.0");
});
