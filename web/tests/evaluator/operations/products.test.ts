import { describe, expect, it } from "vitest";
import { attentionScores, linear, matmul } from "../../../src/evaluator/operations/products.ts";
import { at, built, difference, random, tensor } from "../random.ts";

describe("products", () => {
  it("linear: weights times inputs plus bias, row by row", () => {
    const found = linear(tensor([2, 2], [1, 2, 3, 4]), tensor([1, 2], [10, 100]), tensor([1], [0.5]));
    expect(found).toEqual(tensor([2, 1], [210.5, 430.5]));
    expect(() => linear(random([1, 1600], 1), random([128, 10816], 2), null)).toThrow(
      "1600 numbers came in, the weights expect 10816",
    );
  });

  it("linear keeps every leading axis", () => {
    const [input, weight] = [random([2, 3, 4], 1), random([5, 4], 2)];
    const slow = built([2, 3, 5], (n, t, o) =>
      [0, 1, 2, 3].reduce((sum, i) => sum + at(input, n!, t!, i) * at(weight, o!, i), 0),
    );
    expect(difference(linear(input, weight, null), slow)).toBeLessThan(1e-5);
  });

  it("matmul repeats a missing leading axis", () => {
    const [a, b] = [random([2, 3, 4, 5], 1), random([3, 5, 2], 2)];
    const slow = built([2, 3, 4, 2], (n, head, row, column) =>
      [0, 1, 2, 3, 4].reduce((sum, i) => sum + at(a, n!, head!, row!, i) * at(b, head!, i, column!), 0),
    );
    expect(difference(matmul(a, b), slow)).toBeLessThan(1e-5);
    expect(() => matmul(a, random([3, 4, 2], 1))).toThrow("do not fit");
  });

  it("attention scores: query times key, scaled; a causal mask hides what comes later", () => {
    const [query, key] = [random([1, 2, 3, 4], 1), random([1, 2, 3, 4], 2)];
    const scores = attentionScores(query, key, null, true, null);
    const slow = built([1, 2, 3, 3], (n, head, q, k) =>
      k! > q!
        ? -Infinity
        : [0, 1, 2, 3].reduce((sum, i) => sum + at(query, n!, head!, q!, i) * at(key, n!, head!, k!, i), 0) / 2,
    );
    slow.data.forEach((value, index) => expect(scores.data[index]).toBeCloseTo(value, 5));
  });

  it("attention adds its mask to the scores, for every head", () => {
    const one = tensor([2, 2, 1], [1, 1, 1, 1]);
    const mask = tensor([2, 2], [0, 5, 0, -Infinity]);
    expect([...attentionScores(one, one, mask, false, 0.5).data]).toEqual([
      0.5,
      5.5,
      0.5,
      -Infinity,
      0.5,
      5.5,
      0.5,
      -Infinity,
    ]);
  });
});
