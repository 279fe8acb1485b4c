/** One number opened into its arithmetic, with the answer keys of `opsin.reporting.views.flow.trace`. */

import type { Network, Node, Values } from "../run.ts";
import { mapBox, mapPosition, nodePosition } from "../shown.ts";
import { strides } from "../tensor.ts";
import { boxOf, fieldsBefore, noteOf, spansOf } from "./fields.ts";
import { argumentsFor, type Arithmetic, CannotOpen, exactSum, type Term } from "./opening.ts";
import { OPENERS } from "./table.ts";

/** The share of the terms' magnitudes by which the total may differ from the value. */
const TOLERANCE = 1e-5;

export interface Opened extends Arithmetic {
  readonly value: number;
  readonly opens: boolean;
  /** Why it does not open; "" where it does. */
  readonly note: string;
  /** Products and bias; null where it does not open. */
  readonly total: number | null;
  readonly magnitude: number;
  readonly error: number | null;
  readonly agrees: boolean;
}

/** Open a unit (channel, row, column of a node's maps). */
export function openUnit(network: Network, values: Values, node: Node, unit: readonly number[]): Opened {
  const place = placeOf(values, node, unit);
  const output = values.get(node.name)!;
  const steps = strides(output.shape);
  const value = output.data[place.reduce((sum, at, axis) => sum + at * steps[axis]!, 0)]!;
  const { arithmetic, note } = opened(network, values, node, place);
  const parts = [...arithmetic.terms.map((term) => term.product), arithmetic.bias];
  const magnitude = exactSum(parts.map(Math.abs));
  const total = note === "" ? exactSum(parts) : null;
  const error = total === null ? null : total - value;
  const agrees =
    error !== null && (Math.abs(error) <= TOLERANCE * magnitude || (!Number.isFinite(value) && total === value));
  return { ...arithmetic, value, opens: note === "", note, total, magnitude, error, agrees };
}

/** A unit as a place in the node's value, with the axis of the image. */
export function placeOf(values: Values, node: Node, unit: readonly number[]): number[] {
  const position = nodePosition(node.shape, unit);
  const missing = values.get(node.name)!.shape.length - position.length;
  return [...new Array<number>(missing).fill(0), ...position];
}

const CLOSED: Readonly<Record<string, string>> = {
  input: "it is a number of the input",
  constant: "it does not depend on the image",
};

function opened(
  network: Network,
  values: Values,
  node: Node,
  place: readonly number[],
): { arithmetic: Arithmetic; note: string } {
  const none = { terms: [], bias: 0, formula: "", details: {} };
  const opener = node.opens ? OPENERS[node.operation] : undefined;
  if (opener === undefined) {
    const unknown = `the operation ${node.operation} is not opened; its value is PyTorch's own`;
    return { arithmetic: none, note: CLOSED[node.operation] ?? unknown };
  }
  const opening = { network, values, node, place };
  try {
    return { arithmetic: opener(opening, argumentsFor(opening)), note: "" };
  } catch (error) {
    if (error instanceof CannotOpen) return { arithmetic: none, note: error.message };
    throw error;
  }
}

/** What a unit can depend on: without what only rescales whole channels, where something remains then. */
export interface Reach {
  readonly receptiveField: number[] | null;
  readonly boxes: Readonly<Record<string, number[]>>;
  readonly unknown: readonly string[];
  /** What makes the field larger than what the number can depend on; "" where it is exact. */
  readonly note: string;
}

export function reachOf(network: Network, values: Values, node: Node, unit: readonly number[]): Reach {
  const place = placeOf(values, node, unit);
  const input = network.nodes[0]!.name;
  const { whole, local } = fieldsBefore(network, values, node.name, place);
  const found = boxOf(local, input) === null ? whole : local;
  const shapes = new Map(network.nodes.map(({ name, shape }) => [name, shape]));
  const boxes = [...spansOf(found, values)].map(([name, spans]) => [name, mapBox(shapes.get(name)!, spans)]);
  return {
    receptiveField: boxOf(found, input),
    boxes: Object.fromEntries(boxes) as Record<string, number[]>,
    unknown: [...new Set(whole.unknown)],
    note: noteOf(whole),
  };
}

/** Terms column by column, layers by their index in a sorted list. */
export interface Columns {
  readonly layers: string[];
  readonly layer: Int32Array;
  readonly position: Int32Array;
  readonly input: Float32Array;
  readonly weight: Float32Array;
  readonly product: Float32Array;
  readonly weightLayers: string[];
  readonly weightLayer: Int32Array;
  readonly weightPosition: Int32Array;
  readonly weightAxes: number;
  readonly padding: Uint8Array;
}

export function columnsOf(network: Network, terms: readonly Term[]): Columns {
  const shapes = new Map(network.nodes.map(({ name, shape }) => [name, shape]));
  const layers = sorted(terms.map((term) => term.layer));
  const weightLayers = sorted(terms.map((term) => term.weightLayer));
  const weightAxes = terms.reduce((most, term) => Math.max(most, term.weightPosition.length), 0);
  const position = (term: Term): number[] =>
    mapPosition(shapes.get(term.layer) ?? term.position.map(() => 0), term.position);
  const filled = (term: Term): number[] =>
    Array.from({ length: weightAxes }, (_, axis) => term.weightPosition[axis] ?? -1);
  return {
    layers,
    layer: Int32Array.from(terms, (term) => layers.indexOf(term.layer)),
    position: Int32Array.from(terms.flatMap(position)),
    input: Float32Array.from(terms, (term) => term.input),
    weight: Float32Array.from(terms, (term) => term.weight),
    product: Float32Array.from(terms, (term) => term.product),
    weightLayers,
    weightLayer: Int32Array.from(terms, (term) => weightLayers.indexOf(term.weightLayer)),
    weightPosition: Int32Array.from(terms.flatMap(filled)),
    weightAxes,
    padding: Uint8Array.from(terms, (term) => Number(term.padding)),
  };
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
