import { expect, test } from "vitest";
import { type Bank, colours, kernels, norm, peakOf } from "../../../src/views/filters/kernels.ts";
import { floats, integers } from "../../parts/timeline/lines.ts";

// two filters of three inputs and 1 x 2 places
const bank = {
  weights: { ...floats(0, 1, 2, 3, 4, 5, 0, -6, 3, 0, -3, 6), shape: [2, 3, 1, 2] },
  outputs: integers(4, 8),
  peak: 6,
} as unknown as Bank;

test("one map per filter and input, or per input of one filter", () => {
  expect(kernels(bank).map((map) => map.start)).toEqual([0, 2, 4, 6, 8, 10]);
  expect(kernels(bank, 1).map((map) => map.start)).toEqual([6, 8, 10]);
  expect(kernels(bank)[0]).toMatchObject({ rows: 1, columns: 2 });
});

test("what is measured of a filter", () => {
  expect(norm(bank, 0)).toEqual({ low: 0, high: 5, norm: Math.sqrt(55) });
  expect(peakOf(bank, 1)).toEqual({ low: -6, high: 6 });
});

test("a filter over red, green and blue: zero is grey, the peak is full", () => {
  // red 0 and -6, green 3 and 0, blue -3 and 6
  expect([...colours(bank, 1, 6)]).toEqual([128, 191, 64, 255, 0, 128, 255, 255]);
  expect([...colours({ ...bank, weights: { ...floats(0, 0, 0), shape: [1, 3, 1, 1] } } as Bank, 0, 0)]).toEqual([128, 128, 128, 255]);
});
