/**
 * What every opener gets and gives: one number of a node, and the terms that make it. The twin of
 * `opsin.explanation.tracing.arithmetic.opening`: the same terms in the same order.
 */

import type { Arguments } from "../arguments.ts";
import { argumentsOf, type Carried, type Network, type Node, type Values, weightOf } from "../run.ts";
import { strides, type Tensor } from "../tensor.ts";

/** A number whose arithmetic is not shown, and why. */
export class CannotOpen extends Error {}

/** One product: as `opsin.records.trace.Term`. */
export interface Term {
  readonly layer: string;
  /** Without the axis of the image. */
  readonly position: readonly number[];
  readonly input: number;
  /** NaN where a function is applied instead. */
  readonly weight: number;
  readonly product: number;
  readonly weightLayer: string;
  readonly weightPosition: readonly number[];
  readonly padding: boolean;
}

export type Details = Readonly<Record<string, number | readonly number[]>>;

export interface Arithmetic {
  readonly terms: readonly Term[];
  readonly bias: number;
  readonly formula: string;
  readonly details: Details;
}

export function arithmetic(terms: readonly Term[], formula: string, bias = 0, details: Details = {}): Arithmetic {
  return { terms, bias, formula, details };
}

/** A tensor that a node takes. */
export interface Operand {
  /** Its node, or its name in the state dict; "" for a constant. */
  readonly name: string;
  readonly tensor: Tensor;
  readonly isNode: boolean;
  /** Whether its first axis is that of the one image, which positions leave out. */
  readonly image: boolean;
}

export interface Opening {
  readonly network: Network;
  readonly values: Values;
  readonly node: Node;
  /** Where in the node's output, with the axis of the image. */
  readonly place: readonly number[];
}

/** Openers are called with the arguments read, tensors in place. */
export type Opener = (opening: Opening, args: Arguments) => Arithmetic;

export function argumentsFor(opening: Opening): Arguments {
  return argumentsOf(opening.network, opening.node, opening.values);
}

export function has(opening: Opening, role: string): boolean {
  return isReference(opening.node.arguments[role]);
}

export function isReference(value: Carried | undefined): value is { node: string } | { weight: string } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function operand(opening: Opening, role: string): Operand {
  const value = opening.node.arguments[role];
  if (!isReference(value)) throw new CannotOpen(`${opening.node.operation} of a number is not opened`);
  return asOperand(opening, value);
}

export function asOperand(opening: Opening, value: { node: string } | { weight: string }): Operand {
  if ("node" in value) {
    const tensor = opening.values.get(value.node)!;
    return { name: value.node, tensor, isNode: true, image: isOneImage(tensor) };
  }
  const name = value.weight.startsWith("constant/") ? "" : value.weight;
  return { name, tensor: weightOf(opening.network, value.weight), isNode: false, image: false };
}

export function isOneImage(tensor: Tensor): boolean {
  return tensor.shape.length > 0 && tensor.shape[0] === 1;
}

export function numberAt({ tensor }: Operand, place: readonly number[]): number {
  const steps = strides(tensor.shape);
  return tensor.data[place.reduce((sum, at, axis) => sum + at * steps[axis]!, 0)]!;
}

/** One number of a tensor that may not be there. */
export function numberOr(opening: Opening, role: string, place: readonly number[], otherwise: number): number {
  return has(opening, role) ? numberAt(operand(opening, role), place) : otherwise;
}

function positionOf(from: Operand, place: readonly number[]): readonly number[] {
  return from.image ? place.slice(1) : place;
}

export interface From {
  readonly operand: Operand;
  readonly place: readonly number[];
}

/** A number of an operand times a weight, which may itself lie in a tensor. */
export function product(input: Operand, place: readonly number[], weight: number, from?: From): Term {
  return term(input, place, numberAt(input, place), weight, from);
}

/** A number that lies outside of the operand and counts as zero. */
export function padded(input: Operand, place: readonly number[], weight: number, from?: From): Term {
  return { ...term(input, place, 0, weight, from), product: 0, padding: true };
}

function term(input: Operand, place: readonly number[], number: number, weight: number, from?: From): Term {
  return {
    layer: input.name,
    position: positionOf(input, place),
    input: number,
    weight,
    product: number * weight,
    weightLayer: from?.operand.name ?? "",
    weightPosition: from === undefined ? [] : positionOf(from.operand, from.place),
    padding: false,
  };
}

/** A function that is applied to a number: without a weight. */
export function applied(input: Operand, place: readonly number[], result: number): Term {
  return { ...product(input, place, Number.NaN), product: result };
}

/** Every combination of the axes' indices, the last one fastest. */
export function grid(...axes: readonly (number | readonly number[])[]): number[][] {
  return axes.reduce<number[][]>(
    (found, axis) => found.flatMap((before) => (typeof axis === "number" ? [axis] : axis).map((at) => [...before, at])),
    [[]],
  );
}

export function range(end: number, start = 0): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, at) => start + at);
}

/** Where a tensor that is broadcast to an output has the number of a place. */
export function aligned(place: readonly number[], shape: readonly number[]): number[] {
  return shape.map((side, axis) => (side === 1 ? 0 : place[place.length - shape.length + axis]!));
}

/** A sum as if in exact arithmetic, rounded once or nearly so (Neumaier 1974). */
export function exactSum(values: Iterable<number>): number {
  let [sum, lost] = [0, 0];
  for (const value of values) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return Number.isFinite(lost) ? sum + lost : sum;
}
