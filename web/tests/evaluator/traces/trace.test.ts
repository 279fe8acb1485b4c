import { describe, expect, it } from "vitest";
import { run } from "../../../src/evaluator/run.ts";
import { exactSum } from "../../../src/evaluator/traces/opening.ts";
import { columnsOf, openUnit, reachOf } from "../../../src/evaluator/traces/trace.ts";
import { node, small, STEPS } from "../small.ts";

const network = small();
const values = run(network, STEPS);
const nodeOf = (name: string) => network.nodes.find((found) => found.name === name)!;
const open = (name: string, unit: number[]) => openUnit(network, values, nodeOf(name), unit);

describe("openUnit", () => {
  it("opens a convolution into its window, padding marked", () => {
    const opened = open("conv", [1, 0, 0]);
    expect(opened.terms).toHaveLength(9);
    expect(opened.terms.filter((term) => term.padding)).toHaveLength(5); // the row above and the column to the left
    expect(opened.terms[5]).toMatchObject({
      layer: "input",
      position: [0, 0, 1],
      weight: 1,
      weightLayer: "conv.weight",
      weightPosition: [1, 0, 1, 2],
    });
    expect(opened.terms[0]).toMatchObject({ position: [0, -1, -1], input: 0, product: 0, padding: true });
    expect([opened.bias, opened.opens, opened.agrees]).toEqual([0.5, true, true]);
    expect(opened.total).toBeCloseTo(0.7, 6);
  });

  it("opens a pool: the first of equal ones counts, once", () => {
    const opened = open("pool", [0, 0, 0]);
    expect(opened.terms.map((term) => [term.position, term.weight])).toEqual([
      [[0, 0, 0], 0],
      [[0, 0, 1], 1],
      [[0, 1, 0], 0],
      [[0, 1, 1], 0],
    ]);
  });

  it("follows a number that was only moved, and a sum of products", () => {
    expect(open("flatten", [5, 0, 0]).terms).toMatchObject([{ layer: "pool", position: [1, 0, 1], weight: 1 }]);
    const opened = open("fc", [1, 0, 0]);
    expect(opened.terms.filter((term) => term.weight === 2).map((term) => term.position)).toEqual([[4], [5], [6], [7]]);
    expect(opened.value).toBeCloseTo(7.2, 5);
  });

  it("says why a number does not open", () => {
    expect(open("input", [0, 1, 1])).toMatchObject({
      opens: false,
      note: "it is a number of the input",
      total: null,
      agrees: false,
    });
    const odd = {
      ...network,
      nodes: [...network.nodes, node("odd", "maximum", [2], { self: { node: "fc" }, other: { node: "fc" } }, false)],
    };
    expect(openUnit(odd, run(odd, STEPS), odd.nodes.at(-1)!, [0, 0, 0]).note).toBe(
      "the operation maximum is not opened; its value is PyTorch's own",
    );
  });

  it("does not agree with a value that is not its sum", () => {
    const wrong = new Map(values).set("fc", { shape: [1, 2], data: Float32Array.of(1.6, 7.3) });
    expect(openUnit(network, wrong, nodeOf("fc"), [1, 0, 0]).agrees).toBe(false);
    expect(openUnit(network, wrong, nodeOf("fc"), [0, 0, 0]).agrees).toBe(true);
  });
});

describe("reachOf", () => {
  it("goes back to the input", () => {
    expect(reachOf(network, values, nodeOf("conv"), [0, 0, 0]).receptiveField).toEqual([0, 0, 2, 2]);
    const reach = reachOf(network, values, nodeOf("pool"), [1, 1, 0]);
    expect(reach.receptiveField).toEqual([1, 0, 4, 3]);
    expect(reach.boxes).toEqual({
      pool: [1, 2, 1, 2, 0, 1],
      relu: [1, 2, 2, 4, 0, 2],
      conv: [1, 2, 2, 4, 0, 2],
      input: [0, 1, 1, 4, 0, 3],
    });
  });

  it("leaves a global pool out where something remains", () => {
    const gate = node("gate", "mean", [1, 1, 1], { self: { node: "input" }, dim: [2, 3], keepdim: true });
    const mul = node("mul", "mul", [1, 4, 4], { self: { node: "input" }, other: { node: "gate" } });
    const gated = { ...network, nodes: [network.nodes[0]!, gate, mul] };
    const found = run(gated, STEPS);
    expect(reachOf(gated, found, mul, [0, 2, 3]).receptiveField).toEqual([2, 3, 3, 4]);
    expect(reachOf(gated, found, gate, [0, 0, 0]).receptiveField).toEqual([0, 0, 4, 4]);
  });

  it("counts everything where an operation is not known", () => {
    const odd = {
      ...network,
      nodes: [
        network.nodes[0]!,
        node("odd", "maximum", [1, 4, 4], { self: { node: "input" }, other: { node: "input" } }),
      ],
    };
    expect(reachOf(odd, run(odd, STEPS), odd.nodes[1]!, [0, 0, 0])).toMatchObject({
      receptiveField: [0, 0, 4, 4],
      unknown: ["maximum"],
    });
  });
});

describe("columnsOf", () => {
  it("lists layers once, and fills positions up", () => {
    const columns = columnsOf(network, open("conv", [1, 0, 0]).terms);
    expect([columns.layers, columns.weightLayers, columns.weightAxes]).toEqual([["input"], ["conv.weight"], 4]);
    expect([...columns.position.subarray(0, 3)]).toEqual([0, -1, -1]);
    expect(columnsOf(network, []).weightAxes).toBe(0);
  });
});

describe("exactSum", () => {
  it("loses nothing that cancels", () => {
    expect(exactSum([1e16, 1, -1e16])).toBe(1);
    expect(exactSum([1, Infinity])).toBe(Infinity);
  });
});
