/** Float32 tensors in row-major order, and the index arithmetic that every operation shares. */

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function zeros(shape: readonly number[]): Tensor {
  return { shape, data: new Float32Array(size(shape)) };
}

/** Elements between neighbours along each axis. */
export function strides(shape: readonly number[]): number[] {
  const steps = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    steps[axis] = step;
    step *= shape[axis]!;
  }
  return steps;
}

/** An axis counted from the front; negative ones count from the back, as in PyTorch. */
export function axisOf(axis: number, dimensions: number): number {
  const counted = axis < 0 ? axis + dimensions : axis;
  if (!Number.isInteger(counted) || counted < 0 || counted >= dimensions) {
    throw new Error(`axis ${axis} was given for a tensor of ${dimensions} axes`);
  }
  return counted;
}

/** A tensor as (outer, length, inner) around one axis: most operations along an axis are three loops. */
export function around(shape: readonly number[], axis: number): { outer: number; length: number; inner: number } {
  return { outer: size(shape.slice(0, axis)), length: shape[axis]!, inner: size(shape.slice(axis + 1)) };
}

/** The shape that two shapes broadcast to. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const dimensions = Math.max(a.length, b.length);
  return Array.from({ length: dimensions }, (_, axis) => {
    const left = a[axis - dimensions + a.length] ?? 1;
    const right = b[axis - dimensions + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new Error(`shapes (${a.join(", ")}) and (${b.join(", ")}) do not broadcast`);
    }
    return left === 1 ? right : left;
  });
}

/** Elements to move in `shape` for one step along each axis of the broadcast shape `target`; 0 where it is repeated. */
export function broadcastStrides(shape: readonly number[], target: readonly number[]): number[] {
  const own = strides(shape);
  return target.map((_, axis) => {
    const at = axis - target.length + shape.length;
    return at < 0 || shape[at] === 1 ? 0 : own[at]!;
  });
}

/** For every element of `shape` in row-major order, the offset that `steps` give: the one way to walk a view. */
export function offsets(shape: readonly number[], steps: readonly number[], start = 0): Int32Array {
  const count = size(shape);
  const found = new Int32Array(count);
  if (count === 0) return found;
  found[0] = start;
  // axes are added from the last to the first: the block that is filled is repeated, shifted by the axis's step
  let filled = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    for (let index = 1; index < shape[axis]!; index++) {
      const shift = index * steps[axis]!;
      for (let at = 0; at < filled; at++) found[index * filled + at] = found[at]! + shift;
    }
    filled *= shape[axis]!;
  }
  return found;
}

/** A copy in which element i comes from `source[offset[i]]`. */
export function gather(source: Float32Array, shape: readonly number[], offset: Int32Array): Tensor {
  const data = new Float32Array(offset.length);
  for (let index = 0; index < data.length; index++) data[index] = source[offset[index]!]!;
  return { shape, data };
}
