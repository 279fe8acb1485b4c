/** The arguments of a call by their names in PyTorch's schema, read with their types. */

import type { Pair } from "./operations/convolution.ts";
import type { Tensor } from "./tensor.ts";

export type Argument = Tensor | null | boolean | number | string | readonly Argument[];
export type Arguments = Readonly<Record<string, Argument | undefined>>;

export function isTensor(value: Argument | undefined): value is Tensor {
  return typeof value === "object" && value !== null && "data" in value;
}

function wrong(name: string, expected: string, value: Argument | undefined): Error {
  return new Error(`${name} is ${isTensor(value) ? "a tensor" : JSON.stringify(value)}; expected ${expected}`);
}

/** A tensor, or a number as a tensor without axes. */
export function tensorOf(args: Arguments, name: string): Tensor {
  const value = args[name];
  if (isTensor(value)) return value;
  if (typeof value === "number") return { shape: [], data: Float32Array.of(value) };
  throw wrong(name, "a tensor", value);
}

export function tensorOrNull(args: Arguments, name: string): Tensor | null {
  return args[name] === null || args[name] === undefined ? null : tensorOf(args, name);
}

export function tensorsOf(args: Arguments, name: string): Tensor[] {
  const value = args[name];
  if (!Array.isArray(value)) throw wrong(name, "tensors", value);
  return value.map((item: Argument) => {
    if (!isTensor(item)) throw wrong(name, "tensors", item);
    return item;
  });
}

export function numberOf(args: Arguments, name: string, otherwise?: number): number {
  const value = args[name] ?? otherwise;
  if (typeof value !== "number") throw wrong(name, "a number", value);
  return value;
}

export function numberOrNull(args: Arguments, name: string): number | null {
  return args[name] === null || args[name] === undefined ? null : numberOf(args, name);
}

/** Whole numbers; a single one stands for a list of one. */
export function numbersOf(args: Arguments, name: string, otherwise?: readonly number[]): number[] {
  const value = args[name] ?? otherwise;
  const list = typeof value === "number" ? [value] : value;
  if (!Array.isArray(list) || !list.every((item) => typeof item === "number")) throw wrong(name, "numbers", value);
  return list as number[];
}

/** (down, across); one number stands for both. An empty list is taken for `otherwise`, as a pool's stride may be. */
export function pairOf(args: Arguments, name: string, otherwise?: Pair): Pair {
  const list = numbersOf(args, name, otherwise ?? []);
  const [first, second = first] = list.length === 0 && otherwise !== undefined ? otherwise : list;
  if (first === undefined || second === undefined) throw wrong(name, "two numbers", args[name]);
  return [first, second];
}

export function flagOf(args: Arguments, name: string, otherwise = false): boolean {
  return Boolean(args[name] ?? otherwise);
}

export function textOf(args: Arguments, name: string, otherwise: string): string {
  return String(args[name] ?? otherwise);
}
