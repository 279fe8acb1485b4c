/** Normalisations: y = (x - mean) / sqrt(variance + eps) weight + bias. */

import { type Arguments, flagOf, numberOf, numbersOf } from "../arguments.ts";
import {
  aligned,
  type Arithmetic,
  arithmetic,
  CannotOpen,
  grid,
  has,
  numberAt,
  numberOr,
  type Opening,
  operand,
  product,
  range,
} from "./opening.ts";

/** With the statistics of the training: the input times one number, and the rest added. */
export function batchNorm(opening: Opening, args: Arguments): Arithmetic {
  const channel = [opening.place[1]!];
  if (!has(opening, "running_mean")) throw new CannotOpen("no statistics were kept");
  const mean = numberOr(opening, "running_mean", channel, 0);
  const variance = numberOr(opening, "running_var", channel, 1);
  const [weight, bias] = [numberOr(opening, "weight", channel, 1), numberOr(opening, "bias", channel, 0)];
  const eps = numberOf(args, "eps", 1e-5);
  const scale = weight / Math.sqrt(variance + eps);
  const terms = [
    product(operand(opening, "input"), opening.place, scale),
    product(operand(opening, "running_mean"), channel, -scale),
  ];
  const formula = "(input - mean) / sqrt(variance + eps) x weight + bias";
  return arithmetic(terms, formula, bias, { mean, variance, eps, weight, bias });
}

/** Over the last axes. */
export function layerNorm(opening: Opening, args: Arguments): Arithmetic {
  const axes = numbersOf(args, "normalized_shape").length;
  const { shape } = operand(opening, "input").tensor;
  const [before, own] = [opening.place.slice(0, -axes), opening.place.slice(-axes)];
  return normalised(opening, args, grid(...before, ...shape.slice(-axes).map((side) => range(side))), own);
}

/** Over the places and the channels of a group. */
export function groupNorm(opening: Opening, args: Arguments): Arithmetic {
  return grouped(opening, args, numberOf(args, "num_groups"));
}

/** Over the places of a channel, or with kept statistics as batch normalisation. */
export function instanceNorm(opening: Opening, args: Arguments): Arithmetic {
  if (!flagOf(args, "use_input_stats", true)) return batchNorm(opening, args);
  return grouped(opening, args, operand(opening, "input").tensor.shape[1]!);
}

function grouped(opening: Opening, args: Arguments, groups: number): Arithmetic {
  const { shape } = operand(opening, "input").tensor;
  const [image, channel] = opening.place as [number, number];
  const size = shape[1]! / groups;
  const first = Math.floor(channel / size) * size;
  const members = grid(image, range(first + size, first), ...shape.slice(2).map((side) => range(side)));
  return normalised(opening, args, members, [channel]);
}

/** With mean and variance of the members, the number itself among them; the mean's terms follow the input. */
function normalised(opening: Opening, args: Arguments, members: number[][], own: readonly number[]): Arithmetic {
  const inputs = operand(opening, "input");
  const numbers = members.map((place) => numberAt(inputs, place));
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  const [weight, bias] = [numberOr(opening, "weight", own, 1), numberOr(opening, "bias", own, 0)];
  const eps = numberOf(args, "eps", 1e-5);
  const scale = weight / Math.sqrt(variance + eps);
  const itself = product(inputs, aligned(opening.place, inputs.tensor.shape), scale);
  const terms = [itself, ...members.map((place) => product(inputs, place, -scale / members.length))];
  const formula = "(input - mean) / sqrt(variance + eps) x weight + bias; the mean's terms follow the input";
  return arithmetic(terms, formula, bias, { mean, variance, eps, weight, bias, numbers: members.length });
}
