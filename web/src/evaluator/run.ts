/** Runs the network that a report carries: every node's values, in the order of the graph. */

import type { Argument, Arguments } from "./arguments.ts";
import { OPERATIONS } from "./operations/table.ts";
import type { Tensor } from "./tensor.ts";

/** An argument as the report carries it: tensors by the node or weight that gives them. */
export type Carried = null | boolean | number | string | { node: string } | { weight: string } | readonly Carried[];

/** One operation, as `opsin.reporting.views.offline` writes it. */
export interface Node {
  readonly name: string;
  readonly module: string;
  readonly operation: string;
  /** Without the batch axis. */
  readonly shape: readonly number[];
  readonly opens: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly arguments: Readonly<Record<string, Carried>>;
  readonly item: number | null;
}

export interface Network {
  readonly nodes: readonly Node[];
  readonly output: string;
  readonly weights: Readonly<Record<string, Tensor>>;
}

export type Values = ReadonlyMap<string, Tensor>;

/** What every node gives for one input (c, h, w), with a batch axis of one as PyTorch shapes it. */
export function run(network: Network, input: Tensor): Values {
  const values = new Map<string, Tensor>();
  for (const node of network.nodes) {
    if (node.operation === "input") values.set(node.name, { shape: [1, ...input.shape], data: input.data });
    else if (node.operation === "constant") values.set(node.name, weightOf(network, node.name));
    else values.set(node.name, compute(node, argumentsOf(network, node, values)));
  }
  return values;
}

/** The arguments of a node, tensors in place. */
export function argumentsOf(network: Network, node: Node, values: Values): Arguments {
  const lifted = (value: Carried): Argument => {
    if (typeof value !== "object" || value === null) return value;
    if ("weight" in value) return weightOf(network, value.weight);
    if ("node" in value) return valueOf(values, value.node);
    return value.map(lifted);
  };
  return Object.fromEntries(Object.entries(node.arguments).map(([role, value]) => [role, lifted(value)]));
}

function compute(node: Node, args: Arguments): Tensor {
  const operation = OPERATIONS[node.operation];
  if (operation === undefined) throw new Error(`${node.operation} (at ${node.name}) does not run in a browser`);
  const found = operation(args);
  if (!Array.isArray(found)) return found as Tensor;
  const part = found[node.item ?? -1];
  if (part === undefined) throw new Error(`${node.name} is part ${node.item} of ${found.length}`);
  return part;
}

export function weightOf(network: Network, name: string): Tensor {
  const found = network.weights[name];
  if (found === undefined) throw new Error(`the report carries no weights ${name}`);
  return found;
}

function valueOf(values: Values, name: string): Tensor {
  const found = values.get(name);
  if (found === undefined) throw new Error(`${name} is not computed before it is needed`);
  return found;
}
