/** Functions of one number. Those of the ReLU family are the number times a gate, plus a constant where clipped. */

import { type Arguments, numberOf, numberOrNull, textOf } from "../arguments.ts";
import { erf, sigmoid } from "../operations/pointwise.ts";
import { ACTIVATIONS } from "../operations/table.ts";
import {
  aligned,
  applied,
  type Arithmetic,
  arithmetic,
  CannotOpen,
  has,
  numberAt,
  type Opener,
  type Opening,
  operand,
  product,
} from "./opening.ts";

/** [weight, constant] */
type Gate = (x: number, args: Arguments) => readonly [number, number];

function clipped(x: number, low: number, high: number): readonly [number, number] {
  if (x < low) return [0, low];
  return x > high ? [0, high] : [1, 0];
}

function clamped(x: number, args: Arguments): readonly [number, number] {
  return clipped(x, numberOrNull(args, "min") ?? -Infinity, numberOrNull(args, "max") ?? Infinity);
}

const GATES: Readonly<Record<string, readonly [Gate, string]>> = {
  relu: [(x) => [x > 0 ? 1 : 0, 0], "max(0, input)"],
  relu6: [(x) => clipped(x, 0, 6), "input between 0 and 6"],
  leaky_relu: [
    (x, args) => [x > 0 ? 1 : numberOf(args, "negative_slope", 0.01), 0],
    "input, times the slope where it is negative",
  ],
  hardtanh: [
    (x, args) => clipped(x, numberOf(args, "min_val", -1), numberOf(args, "max_val", 1)),
    "input between two bounds",
  ],
  clamp: [clamped, "input between two bounds"],
  hardswish: [(x) => [Math.min(Math.max(x + 3, 0), 6) / 6, 0], "input x min(max(0, input + 3), 6) / 6"],
  hardsigmoid: [(x) => (x > -3 && x < 3 ? [1 / 6, 0.5] : [0, x <= -3 ? 0 : 1]), "min(max(0, input + 3), 6) / 6"],
  silu: [(x) => [sigmoid(x), 0], "input x sigmoid(input)"],
};

const FORMULAS: Readonly<Record<string, string>> = {
  sigmoid: "1 / (1 + exp(-input))",
  tanh: "tanh(input)",
  elu: "input, or alpha x (exp(input) - 1) where it is negative",
  celu: "input, or alpha x (exp(input / alpha) - 1) where it is negative",
  selu: "scaled elu",
  mish: "input x tanh(log(1 + exp(input)))",
  softplus: "log(1 + exp(beta x input)) / beta",
  log_sigmoid: "log(sigmoid(input))",
  exp: "exp(input)",
  log: "log(input)",
  sqrt: "square root of input",
  rsqrt: "1 / square root of input",
  abs: "|input|",
  neg: "-input",
  square: "input x input",
  pow: "input to a power",
  reciprocal: "1 / input",
};

/** The number times its gate, and a constant. */
function gated(opening: Opening, args: Arguments): Arithmetic {
  const [gate, formula] = GATES[opening.node.operation]!;
  const inputs = operand(opening, "self");
  const place = aligned(opening.place, inputs.tensor.shape);
  const x = numberAt(inputs, place);
  if (Number.isNaN(x)) throw new CannotOpen("the number is NaN");
  const [weight, constant] = gate(x, args);
  return arithmetic([product(inputs, place, weight)], formula, constant, { gate: weight });
}

/** A function of the number, which has no weight. */
function called(opening: Opening, args: Arguments): Arithmetic {
  if (Object.keys(opening.node.arguments).some((role) => role !== "self" && has(opening, role))) {
    throw new CannotOpen(`${opening.node.operation} of two tensors is not opened`);
  }
  const inputs = operand(opening, "self");
  const place = aligned(opening.place, inputs.tensor.shape);
  const x = numberAt(inputs, place);
  const operation = opening.node.operation;
  const result = operation === "pow" ? x ** numberOf(args, "exponent") : ACTIVATIONS[operation]!(args)(x);
  return arithmetic([applied(inputs, place, result)], FORMULAS[operation]!);
}

/** x / 2 + x / 2 erf(x / sqrt(2)), or its form with tanh. Two terms: where x is very negative they cancel. */
function gelu(opening: Opening, args: Arguments): Arithmetic {
  const inputs = operand(opening, "self");
  const place = aligned(opening.place, inputs.tensor.shape);
  const x = numberAt(inputs, place);
  const smooth = textOf(args, "approximate", "none") === "tanh";
  const inner = smooth ? Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)) : erf(x / Math.SQRT2);
  const formula = smooth
    ? "input / 2 + input / 2 x tanh(sqrt(2 / pi) x (input + 0.044715 x input^3))"
    : "input / 2 + input / 2 x erf(input / sqrt(2))";
  const terms = [0.5, inner / 2].map((weight) => product(inputs, place, weight));
  return arithmetic(terms, formula, 0, { gate: (1 + inner) / 2 });
}

/** x, or x times the slope of its channel where it is negative. */
function prelu(opening: Opening): Arithmetic {
  const [inputs, slopes] = [operand(opening, "self"), operand(opening, "weight")];
  if (numberAt(inputs, opening.place) > 0) {
    return arithmetic([product(inputs, opening.place, 1)], "input");
  }
  const place = [opening.place.length > 1 && slopes.tensor.data.length > 1 ? opening.place[1]! : 0];
  const term = product(inputs, opening.place, numberAt(slopes, place), { operand: slopes, place });
  return arithmetic([term], "input x slope");
}

export const FUNCTIONS: Readonly<Record<string, Opener>> = {
  ...Object.fromEntries(Object.keys(GATES).map((name) => [name, gated])),
  ...Object.fromEntries(Object.keys(FORMULAS).map((name) => [name, called])),
  gelu,
  prelu,
};
