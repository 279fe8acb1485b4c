/**
 * Operations that only move numbers. Which number it was is found by running the operation on numbers that say where
 * they stand.
 */

import { type Argument, type Arguments, isTensor } from "../arguments.ts";
import { OPERATIONS } from "../operations/table.ts";
import { type Carried } from "../run.ts";
import { strides, type Tensor } from "../tensor.ts";
import {
  argumentsFor,
  asOperand,
  type Arithmetic,
  arithmetic,
  isReference,
  numberAt,
  type Opening,
  type Operand,
  product,
} from "./opening.ts";

const MOST_MARKS = 2 ** 24; // whole numbers up to here are exact in float32
const FILLED = -1;

export const MOVING: ReadonlySet<string> = new Set([
  "alpha_dropout",
  "cat",
  "dropout",
  "expand",
  "feature_alpha_dropout",
  "feature_dropout",
  "flatten",
  "pad",
  "permute",
  "reshape",
  "select",
  "slice",
  "squeeze",
  "stack",
  "transpose",
  "unflatten",
  "unsqueeze",
]);

/** The tensors of a node in the order of its arguments, and for each number of the output which of theirs it was. */
export interface Sources {
  readonly operands: readonly Operand[];
  /** -1 where the operation filled something in. */
  readonly marks: Tensor;
}

export function sources(opening: Opening): Sources {
  const operands = Object.values(opening.node.arguments).flatMap((value) => references(opening, value));
  const count = operands.reduce((sum, { tensor }) => sum + tensor.data.length, 0);
  if (count > MOST_MARKS) throw new Error(`${opening.node.name} moves ${count} numbers, more than can be followed`);
  let start = 0;
  const marked = (value: Argument | undefined): Argument | undefined => {
    if (Array.isArray(value)) return value.map((item: Argument) => marked(item) as Argument);
    if (!isTensor(value)) return value;
    const first = start;
    start += value.data.length;
    return { shape: value.shape, data: value.data.map((_, at) => first + at) };
  };
  const args: Arguments = Object.fromEntries(
    Object.entries(argumentsFor(opening)).map(([role, value]) => [role, marked(value)]),
  );
  const filled = opening.node.operation === "pad" ? { ...args, value: FILLED } : args;
  const found = OPERATIONS[opening.node.operation]!(filled);
  return { operands, marks: Array.isArray(found) ? found[opening.node.item ?? 0]! : (found as Tensor) };
}

function references(opening: Opening, value: Carried): Operand[] {
  if (Array.isArray(value)) return value.flatMap((item: Carried) => references(opening, item));
  return isReference(value) ? [asOperand(opening, value)] : [];
}

/** This number is that number of a node before; or what a padding is filled with. */
export function moved(opening: Opening): Arithmetic {
  const { operands, marks } = sources(opening);
  const mark = numberAt({ name: "", tensor: marks, isNode: false, image: false }, opening.place);
  if (mark === FILLED) {
    const own = { name: "", tensor: opening.values.get(opening.node.name)!, isNode: true, image: false };
    return arithmetic([], "filled in by the operation, the same for every image", numberAt(own, opening.place));
  }
  let rest = mark;
  for (const operand of operands) {
    if (rest < operand.tensor.data.length) {
      return arithmetic([product(operand, unraveled(rest, operand.tensor.shape), 1)], "this number is that number");
    }
    rest -= operand.tensor.data.length;
  }
  throw new Error(`${opening.node.name} has a number that comes from nowhere`);
}

/** The index along each axis of an offset. */
export function unraveled(offset: number, shape: readonly number[]): number[] {
  let rest = offset;
  return strides(shape).map((step) => {
    const at = Math.floor(rest / step);
    rest -= at * step;
    return at;
  });
}
