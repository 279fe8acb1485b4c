/** Operations that only move numbers: other shapes, other orders, parts, joins. */

import { around, axisOf, gather, offsets, size, strides, type Tensor } from "../tensor.ts";

/** A shape with at most one -1, which takes what is left. */
export function reshape(input: Tensor, wanted: readonly number[]): Tensor {
  const known = wanted.reduce((product, length) => (length === -1 ? product : product * length), 1);
  const shape = wanted.map((length) => (length === -1 ? input.data.length / known : length));
  if (size(shape) !== input.data.length) {
    throw new Error(`(${input.shape.join(", ")}) cannot be reshaped to (${wanted.join(", ")})`);
  }
  return { shape, data: input.data };
}

export function flatten(input: Tensor, start: number, end: number): Tensor {
  const dimensions = input.shape.length;
  const [first, last] = [axisOf(start, dimensions), axisOf(end, dimensions)];
  const joined = size(input.shape.slice(first, last + 1));
  return reshape(input, [...input.shape.slice(0, first), joined, ...input.shape.slice(last + 1)]);
}

export function permute(input: Tensor, order: readonly number[]): Tensor {
  const axes = order.map((axis) => axisOf(axis, input.shape.length));
  const steps = strides(input.shape);
  const shape = axes.map((axis) => input.shape[axis]!);
  return gather(
    input.data,
    shape,
    offsets(
      shape,
      axes.map((axis) => steps[axis]!),
    ),
  );
}

export function transpose(input: Tensor, first: number, second: number): Tensor {
  const order = input.shape.map((_, axis) => axis);
  const [a, b] = [axisOf(first, order.length), axisOf(second, order.length)];
  [order[a], order[b]] = [b, a];
  return permute(input, order);
}

export function squeeze(input: Tensor, axes: readonly number[] | null): Tensor {
  const over = axes?.map((axis) => axisOf(axis, input.shape.length));
  return reshape(
    input,
    input.shape.filter((length, axis) => length !== 1 || (over !== undefined && !over.includes(axis))),
  );
}

export function unsqueeze(input: Tensor, axis: number): Tensor {
  const at = axisOf(axis, input.shape.length + 1);
  return reshape(input, [...input.shape.slice(0, at), 1, ...input.shape.slice(at)]);
}

/** Axes of length 1 repeated to the wanted length (-1: left as it is); new axes come in front. */
export function expand(input: Tensor, wanted: readonly number[]): Tensor {
  const added = wanted.length - input.shape.length;
  const own = strides(input.shape);
  const shape = wanted.map((length, axis) => (length === -1 ? input.shape[axis - added]! : length));
  const steps = shape.map((length, axis) => {
    const before = axis < added ? 1 : input.shape[axis - added]!;
    if (before !== length && before !== 1) throw new Error(`an axis of ${before} cannot be expanded to ${length}`);
    return axis < added || before === 1 ? 0 : own[axis - added]!;
  });
  return gather(input.data, shape, offsets(shape, steps));
}

/** Every index along an axis from `start` to before `end`, by `step`; the axis stays. */
export function slice(input: Tensor, axis: number, start: number, end: number, step: number): Tensor {
  const at = axisOf(axis, input.shape.length);
  const length = input.shape[at]!;
  const counted = (index: number): number => Math.min(length, Math.max(0, index < 0 ? index + length : index));
  const [first, last] = [counted(start), counted(end)];
  const steps = strides(input.shape);
  const shape = input.shape.map((own, index) => (index === at ? Math.max(0, Math.ceil((last - first) / step)) : own));
  const jumps = steps.map((own, index) => (index === at ? own * step : own));
  return gather(input.data, shape, offsets(shape, jumps, first * steps[at]!));
}

/** One index along an axis; the axis goes. */
export function select(input: Tensor, axis: number, index: number): Tensor {
  const at = axisOf(axis, input.shape.length);
  const counted = axisOf(index, input.shape[at]!);
  const part = slice(input, at, counted, counted + 1, 1);
  return reshape(
    part,
    input.shape.filter((_, own) => own !== at),
  );
}

export function unbind(input: Tensor, axis: number): Tensor[] {
  return Array.from({ length: input.shape[axisOf(axis, input.shape.length)]! }, (_, index) =>
    select(input, axis, index),
  );
}

/** Parts of the given lengths along an axis. */
export function split(input: Tensor, lengths: readonly number[], axis: number): Tensor[] {
  let start = 0;
  return lengths.map((length) => slice(input, axis, start, (start += length), 1));
}

/** Parts of `length` along an axis, the last one maybe shorter. */
export function pieces(input: Tensor, length: number, axis: number): Tensor[] {
  const whole = input.shape[axisOf(axis, input.shape.length)]!;
  const count = Math.ceil(whole / length);
  return split(
    input,
    Array.from({ length: count }, (_, at) => Math.min(length, whole - at * length)),
    axis,
  );
}

/** At most `count` parts of equal length along an axis, as torch.chunk cuts. */
export function chunk(input: Tensor, count: number, axis: number): Tensor[] {
  return pieces(input, Math.ceil(input.shape[axisOf(axis, input.shape.length)]! / count), axis);
}

export function cat(inputs: readonly Tensor[], axis: number): Tensor {
  const first = inputs[0]!;
  const at = axisOf(axis, first.shape.length);
  const length = inputs.reduce((sum, input) => sum + input.shape[at]!, 0);
  const shape = first.shape.map((own, index) => (index === at ? length : own));
  const { outer, inner } = around(shape, at);
  const data = new Float32Array(size(shape));
  let start = 0;
  for (const input of inputs) {
    const run = input.shape[at]! * inner;
    for (let block = 0; block < outer; block++) {
      data.set(input.data.subarray(block * run, (block + 1) * run), block * length * inner + start);
    }
    start += run;
  }
  return { shape, data };
}

export function stack(inputs: readonly Tensor[], axis: number): Tensor {
  return cat(
    inputs.map((input) => unsqueeze(input, axis)),
    axis,
  );
}

/** A border of one value; `sides` as in torch.nn.functional.pad: last axis first, before and after. */
export function pad(input: Tensor, sides: readonly number[], value: number): Tensor {
  const axes = input.shape.length;
  const before = (axis: number): number => sides[2 * (axes - 1 - axis)] ?? 0;
  const after = (axis: number): number => sides[2 * (axes - 1 - axis) + 1] ?? 0;
  if (sides.some((side) => side < 0)) throw new Error("pad: a negative border cuts away, which is not supported");
  const shape = input.shape.map((length, axis) => length + before(axis) + after(axis));
  const steps = strides(shape);
  const start = steps.reduce((sum, step, axis) => sum + step * before(axis), 0);
  const targets = offsets(input.shape, steps, start);
  const data = new Float32Array(size(shape)).fill(value);
  for (let index = 0; index < targets.length; index++) data[targets[index]!] = input.data[index]!;
  return { shape, data };
}
