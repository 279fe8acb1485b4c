import { describe, expect, it } from "vitest";
import {
  combine,
  erf,
  gelu,
  hardsigmoid,
  map,
  sigmoid,
  softplus,
} from "../../../src/evaluator/operations/pointwise.ts";
import { random, tensor } from "../random.ts";

describe("pointwise", () => {
  it("erf has its tabulated values", () => {
    // Abramowitz and Stegun, table 7.1
    expect(erf(0.5)).toBeCloseTo(0.5204998778, 10);
    expect(erf(-1)).toBeCloseTo(-0.8427007929, 10);
    expect(erf(2)).toBeCloseTo(0.995322265, 9);
    expect(erf(5)).toBeCloseTo(1 - 1.5374597944e-12, 14);
    expect(erf(Infinity)).toBe(1);
    expect(erf(Number.NaN)).toBeNaN();
    expect(erf(0)).toBe(0);
  });

  it("gelu, exact and by tanh", () => {
    expect(gelu(1, "none")).toBeCloseTo(0.8413447461, 9);
    expect(gelu(-1, "none")).toBeCloseTo(-0.1586552539, 9);
    expect(gelu(1, "tanh")).toBeCloseTo(0.8411919906, 9);
  });

  it("the sigmoids and softplus do not overflow", () => {
    expect([sigmoid(-1000), sigmoid(0), sigmoid(1000)]).toEqual([0, 0.5, 1]);
    expect([hardsigmoid(-3), hardsigmoid(0), hardsigmoid(9)]).toEqual([0, 0.5, 1]);
    expect(softplus(0, 1, 20)).toBeCloseTo(Math.log(2), 12);
    expect(softplus(1000, 1, 20)).toBe(1000);
  });

  it("combines shapes that broadcast, and refuses others", () => {
    const column = tensor([2, 1], [10, 20]);
    const row = tensor([3], [1, 2, 3]);
    expect(combine(column, row, (a, b) => a + b)).toEqual(tensor([2, 3], [11, 12, 13, 21, 22, 23]));
    expect(combine(row, tensor([], [2]), (a, b) => a * b)).toEqual(tensor([3], [2, 4, 6]));
    expect(() => combine(row, random([2], 1), (a, b) => a + b)).toThrow("do not broadcast");
  });

  it("leaves its input as it was", () => {
    const input = tensor([2], [-1, 1]);
    expect([...map(input, (x) => Math.max(0, x)).data]).toEqual([0, 1]);
    expect([...input.data]).toEqual([-1, 1]);
  });
});
