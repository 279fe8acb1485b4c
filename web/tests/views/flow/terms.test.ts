import { describe, expect, it } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import type { Terms } from "../../../src/views/flow/answers.ts";
import { countOf, isWindowed, largest, partsOf, termAt } from "../../../src/views/flow/terms.ts";

/** Two channels with windows of 2 x 2, the first row of which lies in the padding. */
function terms(): Terms {
  const position = [0, 1].flatMap((channel) => [-1, 0].flatMap((row) => [3, 4].map((column) => [channel, row, column])));
  const input = [0, 0, 1, 2, 0, 0, 3, 4];
  const weight = [9, 9, 0.5, -1, 9, 9, 2, NaN];
  const product = [0, 0, 0.5, -2, 0, 0, 6, 4];
  return {
    layers: ["conv1", "pool1"],
    layer: array(new Int32Array(8).fill(1)),
    position: array(Int32Array.from(position.flat()), [8, 3]),
    input: array(Float32Array.from(input)),
    weight: array(Float32Array.from(weight)),
    product: array(Float32Array.from(product)),
    weight_layers: ["conv2.weight"],
    weight_layer: array(new Int32Array(8)),
    weight_position: array(new Int32Array(32), [8, 4]),
    padding: array(Uint8Array.from([1, 1, 0, 0, 1, 1, 0, 0])),
  };
}

describe("terms", () => {
  it("are read with where they come from", () => {
    expect(termAt(terms(), 3)).toEqual({ index: 3, layer: "pool1", position: [0, 0, 4], input: 2, weight: -1, product: -2, padding: false });
    expect(termAt(terms(), 7).weight).toBeNull();
    expect(countOf(terms())).toBe(8);
  });

  it("are ordered by magnitude, whatever their sign", () => {
    expect(largest(terms(), 3).map((term) => term.product)).toEqual([6, 4, -2]);
  });

  it("make a window per channel; the channel that adds most is first", () => {
    const [first, second] = partsOf(terms());
    expect([first?.channel, first?.sum, second?.channel, second?.sum]).toEqual([1, 10, 0, -1.5]);
    expect(second?.window.map((row) => row.map((term) => term?.input))).toEqual([[0, 0], [1, 2]]);
    expect(second?.window[0]?.every((term) => term?.padding)).toBe(true);
  });

  it("of convolutions and pools only are windows", () => {
    expect(["conv2d", "max_pool2d", "adaptive_avg_pool2d"].every(isWindowed)).toBe(true);
    expect(["linear", "add", "softmax", "batch_norm"].some(isWindowed)).toBe(false);
  });
});
