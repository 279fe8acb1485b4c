/** Sums of products: convolutions, linear layers, products of matrices, attention. */

import { numberOf, numberOrNull, pairOf, type Arguments, flagOf } from "../arguments.ts";
import type { Pair } from "../operations/convolution.ts";
import {
  aligned,
  type Arithmetic,
  arithmetic,
  CannotOpen,
  grid,
  numberAt,
  numberOr,
  type Opening,
  type Operand,
  operand,
  padded,
  product,
  range,
  type Term,
} from "./opening.ts";

/** How many places before the first a convolution pads; "same" puts the odd one behind. */
export function paddingBefore(args: Arguments, kernel: readonly number[], dilation: Pair): Pair {
  if (args.padding === "valid") return [0, 0];
  if (args.padding !== "same") return pairOf(args, "padding", [0, 0]);
  return [Math.floor((dilation[0] * (kernel[0]! - 1)) / 2), Math.floor((dilation[1] * (kernel[1]! - 1)) / 2)];
}

/** Every input of the window times its weight; what lies in the padding counts as zero and is marked. */
export function convolution(opening: Opening, args: Arguments): Arithmetic {
  const [inputs, weight] = [operand(opening, "input"), operand(opening, "weight")];
  const [image, channel, row, column] = opening.place as [number, number, number, number];
  const [outputs, perGroup, ...kernel] = weight.tensor.shape as [number, number, number, number];
  const [stride, dilation] = [pairOf(args, "stride", [1, 1]), pairOf(args, "dilation", [1, 1])];
  const padding = paddingBefore(args, kernel, dilation);
  const first = Math.floor(channel / (outputs / numberOf(args, "groups", 1))) * perGroup;
  const [height, width] = inputs.tensor.shape.slice(2) as [number, number];
  const terms = grid(range(perGroup), range(kernel[0]!), range(kernel[1]!)).map((tap) => {
    const [c, ky, kx] = tap as [number, number, number];
    const [y, x] = [
      row * stride[0] - padding[0] + ky * dilation[0],
      column * stride[1] - padding[1] + kx * dilation[1],
    ];
    const from = { operand: weight, place: [channel, c, ky, kx] };
    const inside = y >= 0 && y < height && x >= 0 && x < width;
    return (inside ? product : padded)(inputs, [image, first + c, y, x], numberAt(weight, from.place), from);
  });
  const bias = numberOr(opening, "bias", [channel], 0);
  return arithmetic(terms, "sum of input x weight over the window, plus bias", bias);
}

export function linear(opening: Opening): Arithmetic {
  const [inputs, weight] = [operand(opening, "input"), operand(opening, "weight")];
  const feature = opening.place.at(-1)!;
  const terms = range(weight.tensor.shape[1]!).map((at) => {
    const from = { operand: weight, place: [feature, at] };
    return product(inputs, [...opening.place.slice(0, -1), at], numberAt(weight, from.place), from);
  });
  return arithmetic(terms, "sum of input x weight, plus bias", numberOr(opening, "bias", [feature], 0));
}

export function matmul(opening: Opening, args: Arguments): Arithmetic {
  const second = operand(opening, args.mat2 === undefined ? "other" : "mat2");
  return arithmetic(matrixTerms(opening.place, operand(opening, "self"), second, 1, false), "sum of row x column");
}

/** Row times column; `swapped`: the second one's last two axes are exchanged before. */
function matrixTerms(
  place: readonly number[],
  first: Operand,
  second: Operand,
  scale: number,
  swapped: boolean,
): Term[] {
  const [before, row, column] = [place.slice(0, -2), place.at(-2)!, place.at(-1)!];
  const outer = aligned(before, first.tensor.shape.slice(0, -2));
  const other = aligned(before, second.tensor.shape.slice(0, -2));
  return range(first.tensor.shape.at(-1)!).map((inner) => {
    const from = { operand: second, place: swapped ? [...other, column, inner] : [...other, inner, column] };
    return product(first, [...outer, row, inner], numberAt(second, from.place) * scale, from);
  });
}

/** Query times key, scaled, and the mask added. */
export function attentionScores(opening: Opening, args: Arguments): Arithmetic {
  const [query, key] = [operand(opening, "query"), operand(opening, "key")];
  const scale = numberOrNull(args, "scale") ?? 1 / Math.sqrt(query.tensor.shape.at(-1)!);
  const [row, column] = opening.place.slice(-2) as [number, number];
  const mask = opening.node.arguments.attn_mask === undefined ? null : operand(opening, "attn_mask");
  const bias = mask === null ? 0 : numberAt(mask, aligned(opening.place, mask.tensor.shape));
  if ((flagOf(args, "is_causal") && column > row) || !Number.isFinite(bias)) {
    throw new CannotOpen("the mask forbids this key: the score is minus infinity");
  }
  const terms = matrixTerms(opening.place, query, key, scale, true);
  return arithmetic(terms, "sum of query x key x scale, plus mask", bias, { scale });
}

/** The values, each times its weight. */
export function attention(opening: Opening): Arithmetic {
  const [weights, value] = [operand(opening, "weights"), operand(opening, "value")];
  const [before, row, column] = [opening.place.slice(0, -2), opening.place.at(-2)!, opening.place.at(-1)!];
  const terms = grid(range(weights.tensor.shape.at(-1)!)).map(([key]) => {
    const from = { operand: weights, place: [...aligned(before, weights.tensor.shape.slice(0, -2)), row, key!] };
    return product(
      value,
      [...aligned(before, value.tensor.shape.slice(0, -2)), key!, column],
      numberAt(weights, from.place),
      from,
    );
  });
  return arithmetic(terms, "sum of value x weight of its key");
}
