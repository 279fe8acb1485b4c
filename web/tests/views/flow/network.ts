/** Small networks as graphs, for tests. */

import type { GraphNode } from "../../../src/views/flow/answers.ts";

export function node(name: string, operation: string, inputs: string[], shape: number[], module = name): GraphNode {
  return { name, module, operation, inputs, shape, settings: {}, weights: {}, opens: true, output: "" };
}

/** A stem, two residual blocks of a stage, and a head: named as torchvision names them. */
export function residual(): GraphNode[] {
  const nodes = [node("input", "input", [], [3, 16, 16], ""), node("conv1", "conv2d", ["input"], [8, 16, 16])];
  let before = "conv1";
  for (const block of ["layer1.0", "layer1.1"]) {
    nodes.push(
      node(`${block}.conv1`, "conv2d", [before], [8, 16, 16]),
      node(`${block}.relu`, "relu", [`${block}.conv1`], [8, 16, 16]),
      node(`${block}.conv2`, "conv2d", [`${block}.relu`], [8, 16, 16]),
      node(`${block}.add`, "add", [`${block}.conv2`, before], [8, 16, 16], block),
      // one module that runs twice
      node(`${block}.relu_1`, "relu", [`${block}.add`], [8, 16, 16], `${block}.relu`),
    );
    before = `${block}.relu_1`;
  }
  nodes.push(node("flatten", "flatten", [before], [2048], ""), node("fc", "linear", ["flatten"], [10]));
  return nodes;
}
