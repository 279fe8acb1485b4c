import { describe, expect, it } from "vitest";
import { run } from "../../src/evaluator/run.ts";
import { node, small, STEPS } from "./small.ts";

const rounded = (values: Iterable<number>): number[] => Array.from(values, (value) => Math.round(value * 1000) / 1000);

describe("run", () => {
  it("gives every node's value in order", () => {
    const values = run(small(), STEPS);
    expect([...values.keys()]).toEqual(["input", "conv", "relu", "pool", "flatten", "fc"]);
    // the first kernel copies; the second takes right minus left, plus 0.5
    expect(rounded(values.get("conv")!.data.subarray(0, 4))).toEqual([0, 0.2, 0.4, 0.6]);
    expect(rounded(values.get("conv")!.data.subarray(16, 20))).toEqual([0.7, 0.9, 0.9, 0.1]);
    expect(rounded(values.get("pool")!.data)).toEqual([0.2, 0.6, 0.2, 0.6, 0.9, 0.9, 0.9, 0.9]);
    expect(rounded(values.get("fc")!.data)).toEqual([1.6, 3.6 * 2]);
  });

  it("takes constants from the weights, and one part of several", () => {
    const network = {
      nodes: [
        node("input", "input", [1, 4, 4], {}),
        node("two", "constant", [1], {}),
        { ...node("right", "slice", [1, 4, 2], { self: { node: "input" }, chunks: 2, dim: -1 }), item: 1 },
        node("mul", "mul", [1, 4, 2], { self: { node: "right" }, other: { node: "two" } }),
      ],
      output: "mul",
      weights: { two: { shape: [1], data: Float32Array.of(2) } },
    };
    expect(rounded(run(network, STEPS).get("mul")!.data.subarray(0, 2))).toEqual([0.8, 1.2]);
  });

  it("names what it cannot run or find", () => {
    const lacking = { ...small(), nodes: [...small().nodes, node("odd", "sin", [2], { self: { node: "fc" } })] };
    expect(() => run(lacking, STEPS)).toThrow("sin (at odd) does not run in a browser");
    expect(() => run({ ...small(), weights: {} }, STEPS)).toThrow("the report carries no weights conv.weight");
    expect(() => run({ ...small(), nodes: small().nodes.slice(2) }, STEPS)).toThrow(
      "conv is not computed before it is needed",
    );
  });
});
