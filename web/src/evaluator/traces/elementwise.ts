/** Sums, products and quotients of numbers at one place of several tensors, broadcast as PyTorch does. */

import { type Arguments, numberOf } from "../arguments.ts";
import {
  aligned,
  type Arithmetic,
  arithmetic,
  asOperand,
  CannotOpen,
  has,
  isReference,
  numberAt,
  type Opener,
  type Opening,
  operand,
  product,
} from "./opening.ts";

/** `first` times self plus `second` times other; a number of the code is added as it is. */
function weighted(first: (alpha: number) => number, second: (alpha: number) => number): Opener {
  return (opening, args) => {
    const alpha = numberOf(args, "alpha", 1);
    const parts = [
      ["self", first(alpha)],
      ["other", second(alpha)],
    ] as const;
    const bias = parts.reduce(
      (sum, [role, weight]) => sum + (has(opening, role) ? 0 : weight * numberOf(args, role)),
      0,
    );
    const terms = parts.flatMap(([role, weight]) => {
      if (!has(opening, role)) return [];
      const from = operand(opening, role);
      return [product(from, aligned(opening.place, from.tensor.shape), weight)];
    });
    return arithmetic(terms, "sum", bias);
  };
}

/** A number of the network times another one, or times a constant or parameter. */
function mul(opening: Opening, args: Arguments): Arithmetic {
  const isNode = (role: string): boolean =>
    isReference(opening.node.arguments[role]) && "node" in (opening.node.arguments[role] as object);
  const [first, second] = !isNode("self") && isNode("other") ? ["other", "self"] : ["self", "other"];
  const inputs = operand(opening, first!);
  const place = aligned(opening.place, inputs.tensor.shape);
  if (!has(opening, second!)) {
    return arithmetic([product(inputs, place, numberOf(args, second!))], "input x constant");
  }
  const weight = operand(opening, second!);
  const at = aligned(opening.place, weight.tensor.shape);
  const term = product(inputs, place, numberAt(weight, at), { operand: weight, place: at });
  return arithmetic([term], "product of two numbers");
}

/** A number times one over another one. */
function div(opening: Opening, args: Arguments): Arithmetic {
  const dividend = opening.node.arguments.self;
  if (!isReference(dividend)) throw new CannotOpen("div of a number is not opened");
  const inputs = asOperand(opening, dividend);
  const place = aligned(opening.place, inputs.tensor.shape);
  if (!has(opening, "other")) {
    return arithmetic([product(inputs, place, 1 / numberOf(args, "other"))], "input / constant");
  }
  const divisor = operand(opening, "other");
  const at = aligned(opening.place, divisor.tensor.shape);
  const number = numberAt(divisor, at);
  if (number === 0) throw new CannotOpen("a division by zero has no arithmetic");
  const term = product(inputs, place, 1 / number, { operand: divisor, place: at });
  return arithmetic([term], "input / divisor: times one over it", 0, { divisor: number });
}

export const ELEMENTWISE: Readonly<Record<string, Opener>> = {
  add: weighted(
    () => 1,
    (alpha) => alpha,
  ),
  sub: weighted(
    () => 1,
    (alpha) => -alpha,
  ),
  rsub: weighted(
    (alpha) => -alpha,
    () => 1,
  ),
  mul,
  div,
};
