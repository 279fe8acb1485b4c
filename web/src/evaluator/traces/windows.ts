/** Numbers made from many of one layer: pools, means, sums, the largest, softmax. */

import { type Arguments, flagOf, numberOf, numbersOf } from "../arguments.ts";
import { adaptiveSpans, averageSpans, divide } from "../operations/pools.ts";
import { adaptiveSize, divisorOf, poolOf } from "../operations/table.ts";
import { axisOf } from "../tensor.ts";
import {
  applied,
  type Arithmetic,
  arithmetic,
  CannotOpen,
  exactSum,
  grid,
  numberAt,
  type Opening,
  type Operand,
  operand,
  padded,
  product,
  range,
} from "./opening.ts";

/** The largest of the window counts once, the first of equal ones; the others not at all. Padding is no number. */
export function maxPool(opening: Opening, args: Arguments): Arithmetic {
  const inputs = operand(opening, "self");
  const { kernel, stride, padding, dilation } = poolOf(args);
  const [image, channel, row, column] = opening.place as [number, number, number, number];
  const [height, width] = inputs.tensor.shape.slice(2) as [number, number];
  const taps = (at: number, axis: 0 | 1, length: number): number[] =>
    range(kernel[axis])
      .map((tap) => at * stride[axis] - padding[axis] + tap * dilation[axis])
      .filter((place) => place >= 0 && place < length);
  return largest(inputs, grid(image, channel, taps(row, 0, height), taps(column, 1, width)));
}

export function adaptiveMaxPool(opening: Opening, args: Arguments): Arithmetic {
  return largest(operand(opening, "self"), adaptiveWindow(opening, args));
}

function largest(inputs: Operand, places: number[][]): Arithmetic {
  const numbers = places.map((place) => numberAt(inputs, place));
  if (numbers.length === 0 || numbers.some(Number.isNaN)) throw new CannotOpen("the window holds no number, or NaN");
  const top = numbers.indexOf(numbers.reduce((most, value) => Math.max(most, value), -Infinity));
  const terms = places.map((place, at) => {
    // minus infinity times zero is no number
    return at === top ? product(inputs, place, 1) : { ...product(inputs, place, 0), product: 0 };
  });
  return arithmetic(terms, "the largest of the window");
}

/** Every number of the window, divided by how many there are; padding is counted where the layer says so. */
export function averagePool(opening: Opening, args: Arguments): Arithmetic {
  const inputs = operand(opening, "self");
  const [window, divisor] = [poolOf(args), divisorOf(args)];
  const [image, channel, row, column] = opening.place as [number, number, number, number];
  const [height, width] = inputs.tensor.shape.slice(2) as [number, number];
  const [down, across] = [averageSpans(height, window, 0)[row]!, averageSpans(width, window, 1)[column]!];
  const from = [row * window.stride[0] - window.padding[0], column * window.stride[1] - window.padding[1]] as const;
  const all = grid(image, channel, range(from[0] + down.extent, from[0]), range(from[1] + across.extent, from[1]));
  const inside = (place: number[]): boolean =>
    place[2]! >= 0 && place[2]! < height && place[3]! >= 0 && place[3]! < width;
  const places = divisor.countPadding ? all : all.filter(inside);
  const count = divide(down, across, divisor);
  const terms = places.map((place) => (inside(place) ? product : padded)(inputs, place, 1 / count));
  return arithmetic(terms, "mean of the window", 0, { "divided by": count });
}

export function adaptiveAveragePool(opening: Opening, args: Arguments): Arithmetic {
  const places = adaptiveWindow(opening, args);
  const terms = places.map((place) => product(operand(opening, "self"), place, 1 / places.length));
  return arithmetic(terms, "mean of the window", 0, { "divided by": places.length });
}

function adaptiveWindow(opening: Opening, args: Arguments): number[][] {
  const [height, width] = operand(opening, "self").tensor.shape.slice(2) as [number, number];
  const [rows, columns] = adaptiveSize(args);
  const [image, channel, row, column] = opening.place as [number, number, number, number];
  const [down, across] = [adaptiveSpans(height, rows)[row]!, adaptiveSpans(width, columns)[column]!];
  return grid(image, channel, range(down.end, down.start), range(across.end, across.start));
}

export function mean(opening: Opening, args: Arguments): Arithmetic {
  const places = members(opening, args);
  const terms = places.map((place) => product(operand(opening, "self"), place, 1 / places.length));
  return arithmetic(terms, "mean", 0, { "divided by": places.length });
}

export function sum(opening: Opening, args: Arguments): Arithmetic {
  const terms = members(opening, args).map((place) => product(operand(opening, "self"), place, 1));
  return arithmetic(terms, "sum");
}

export function maximum(opening: Opening, args: Arguments): Arithmetic {
  return largest(operand(opening, "self"), members(opening, args));
}

/** The places that a reduction takes for one number. */
function members(opening: Opening, args: Arguments): number[][] {
  const { shape } = operand(opening, "self").tensor;
  const over = reducedAxes(args, shape.length);
  const kept = flagOf(args, "keepdim") ? opening.place.filter((_, axis) => !over.has(axis)) : opening.place;
  let next = 0;
  return grid(...shape.map((side, axis) => (over.has(axis) ? range(side) : kept[next++]!)));
}

/** The axes that a reduction takes together: all where none is named. */
export function reducedAxes(args: Arguments, axes: number): Set<number> {
  const named = numbersOf(args, "dim", []);
  return new Set((named.length === 0 ? range(axes) : named).map((axis) => axisOf(axis, axes)));
}

/** exp(x - largest) / sum of exp(x - largest): what each number contributes to the sum is in the details. */
export function softmax(opening: Opening, args: Arguments): Arithmetic {
  const { inputs, places, own, top, raised, whole } = alongAxis(opening, args);
  const terms = places.map((place, at) => applied(inputs, place, at === own ? raised[at]! / whole : 0));
  const formula = "exp(input - largest) / sum of all exp(input - largest)";
  return arithmetic(terms, formula, 0, { largest: top, sum: whole, exponentials: raised });
}

/** x - log(sum of exp(x)). */
export function logSoftmax(opening: Opening, args: Arguments): Arithmetic {
  const { inputs, places, own, top, whole } = alongAxis(opening, args);
  const formula = "input - log of the sum of all exp(input)";
  return arithmetic([product(inputs, places[own]!, 1)], formula, -top - Math.log(whole), { largest: top, sum: whole });
}

function alongAxis(opening: Opening, args: Arguments) {
  const inputs = operand(opening, "self");
  const axis = axisOf(numberOf(args, "dim", -1), inputs.tensor.shape.length);
  const places = range(inputs.tensor.shape[axis]!).map((at) =>
    opening.place.map((own, index) => (index === axis ? at : own)),
  );
  const numbers = places.map((place) => numberAt(inputs, place));
  const top = numbers.reduce((most, value) => Math.max(most, value), -Infinity);
  if (!Number.isFinite(top)) throw new CannotOpen("the axis holds NaN or nothing but minus infinity");
  const raised = numbers.map((value) => Math.exp(value - top));
  return { inputs, places, own: opening.place[axis]!, top, raised, whole: exactSum(raised) };
}
