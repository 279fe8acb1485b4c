import { describe, expect, it } from "vitest";
import { attention, attentionWeights, linear, matmul } from "../../../src/evaluator/operations/products.ts";
import { at, built, difference, random, tensor } from "../random.ts";

describe("products", () => {
  it("linear: weights times inputs plus bias, row by row", () => {
    const found = linear(tensor([2, 2], [1, 2, 3, 4]), tensor([1, 2], [10, 100]), tensor([1], [0.5]));
    expect(found).toEqual(tensor([2, 1], [210.5, 430.5]));
    expect(() => linear(random([1, 1600], 1), random([128, 10816], 2), null)).toThrow("1600 numbers came in, the weights expect 10816");
  });

  it("linear keeps every leading axis", () => {
    const [input, weight] = [random([2, 3, 4], 1), random([5, 4], 2)];
    const slow = built([2, 3, 5], (n, t, o) => [0, 1, 2, 3].reduce((sum, i) => sum + at(input, n!, t!, i) * at(weight, o!, i), 0));
    expect(difference(linear(input, weight, null), slow)).toBeLessThan(1e-5);
  });

  it("matmul repeats a missing leading axis", () => {
    const [a, b] = [random([2, 3, 4, 5], 1), random([3, 5, 2], 2)];
    const slow = built([2, 3, 4, 2], (n, head, row, column) =>
      [0, 1, 2, 3, 4].reduce((sum, i) => sum + at(a, n!, head!, row!, i) * at(b, head!, i, column!), 0));
    expect(difference(matmul(a, b), slow)).toBeLessThan(1e-5);
    expect(() => matmul(a, random([3, 4, 2], 1))).toThrow("do not fit");
  });

  it("attention weights are shares, and a causal mask hides what comes later", () => {
    const [query, key, value] = [random([1, 2, 3, 4], 1), random([1, 2, 3, 4], 2), random([1, 2, 3, 4], 3)];
    const settings = { mask: null, causal: true, scale: 0.5 };
    const weights = attentionWeights(query, key, settings);
    expect(at(weights, 0, 1, 0, 0)).toBe(1);
    expect(at(weights, 0, 1, 1, 2)).toBe(0);
    for (let row = 0; row < 6; row++) {
      expect(weights.data.subarray(row * 3, row * 3 + 3).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
    }
    expect(at(attention(query, key, value, settings), 0, 1, 0, 2)).toBeCloseTo(at(value, 0, 1, 0, 2), 6);
  });

  it("attention adds its mask to the scores", () => {
    const zero = tensor([1, 2, 1], [0, 0]);
    const mask = tensor([2, 2], [0, Math.log(3), 0, -Infinity]);
    const weights = attentionWeights(zero, zero, { mask, causal: false, scale: 1 });
    expect([...weights.data].map((share) => share.toFixed(5))).toEqual(["0.25000", "0.75000", "1.00000", "0.00000"]);
  });
});
