/**
 * Every operation that the evaluator knows, by its name in torch.nn.functional and with the arguments of PyTorch's
 * schema. `SUPPORTED` in `opsin.reporting.views.offline` holds the same names; a parity test compares them.
 */

import {
  type Arguments,
  flagOf,
  numberOf,
  numberOrNull,
  numbersOf,
  pairOf,
  tensorOf,
  tensorOrNull,
  tensorsOf,
  textOf,
} from "../arguments.ts";
import type { Tensor } from "../tensor.ts";
import { conv2d, type Pair, type Window } from "./convolution.ts";
import { batchNorm, groupNorm, layerNorm, reduce, softmax } from "./norms.ts";
import { clip, combine, gelu, hardsigmoid, map, type Scalar, sigmoid, softplus } from "./pointwise.ts";
import {
  adaptiveMaxPool2d,
  adaptiveSpans,
  averageSpans,
  averageSpansPool,
  type Divisor,
  maxPool2d,
  type PoolWindow,
} from "./pools.ts";
import { attentionScores, linear, matmul } from "./products.ts";
import * as shapes from "./shapes.ts";

/** Several tensors are told apart by `item`, the index that the graph names. */
export type Operation = (args: Arguments) => Tensor | Tensor[];

type Activation = (args: Arguments) => Scalar;

/** Functions of one number. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  relu: () => (x) => (x < 0 ? 0 : x),
  relu6: () => (x) => clip(x, 0, 6),
  hardtanh: (args) => (x) => clip(x, numberOf(args, "min_val", -1), numberOf(args, "max_val", 1)),
  leaky_relu: (args) => {
    const slope = numberOf(args, "negative_slope", 0.01);
    return (x) => (x < 0 ? x * slope : x);
  },
  elu: (args) => {
    const [alpha, scale, inner] = [
      numberOf(args, "alpha", 1),
      numberOf(args, "scale", 1),
      numberOf(args, "input_scale", 1),
    ];
    return (x) => (x > 0 ? x * scale : alpha * scale * Math.expm1(x * inner));
  },
  celu: (args) => {
    const alpha = numberOf(args, "alpha", 1);
    return (x) => (x > 0 ? x : alpha * Math.expm1(x / alpha));
  },
  // Klambauer et al. (2017)
  selu: () => (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  gelu: (args) => {
    const approximate = textOf(args, "approximate", "none");
    return (x) => gelu(x, approximate);
  },
  silu: () => (x) => x * sigmoid(x),
  mish: () => (x) => x * Math.tanh(softplus(x, 1, 20)),
  hardswish: () => (x) => x * hardsigmoid(x),
  hardsigmoid: () => hardsigmoid,
  sigmoid: () => sigmoid,
  log_sigmoid: () => (x) => -softplus(-x, 1, 40),
  tanh: () => Math.tanh,
  softplus: (args) => (x) => softplus(x, numberOf(args, "beta", 1), numberOf(args, "threshold", 20)),
  clamp: (args) => {
    const [low, high] = [numberOrNull(args, "min") ?? -Infinity, numberOrNull(args, "max") ?? Infinity];
    return (x) => clip(x, low, high);
  },
  exp: () => Math.exp,
  log: () => Math.log,
  sqrt: () => Math.sqrt,
  rsqrt: () => (x) => 1 / Math.sqrt(x),
  abs: () => Math.abs,
  neg: () => (x) => -x,
  square: () => (x) => x * x,
  reciprocal: () => (x) => 1 / x,
};

/** What a convolution's window is, and its input: "same" pads so that the size stays, an odd row or column behind. */
export function convolved(args: Arguments): { input: Tensor; window: Window } {
  const [input, stride, dilation] = [
    tensorOf(args, "input"),
    pairOf(args, "stride", [1, 1]),
    pairOf(args, "dilation", [1, 1]),
  ];
  if (args.padding !== "same" && args.padding !== "valid") {
    return { input, window: { stride, dilation, padding: pairOf(args, "padding", [0, 0]) } };
  }
  const kernel = tensorOf(args, "weight").shape.slice(2);
  const more = (axis: 0 | 1): number => (args.padding === "same" ? dilation[axis] * (kernel[axis]! - 1) : 0);
  const sides = [more(1), more(0)].flatMap((total) => [Math.floor(total / 2), Math.ceil(total / 2)]);
  return { input: shapes.pad(input, sides, 0), window: { stride, dilation, padding: [0, 0] } };
}

export function poolOf(args: Arguments): PoolWindow {
  const kernel = pairOf(args, "kernel_size");
  return {
    kernel,
    stride: pairOf(args, "stride", kernel),
    padding: pairOf(args, "padding", [0, 0]),
    dilation: pairOf(args, "dilation", [1, 1]),
    ceil: flagOf(args, "ceil_mode"),
  };
}

export function divisorOf(args: Arguments): Divisor {
  return { countPadding: flagOf(args, "count_include_pad", true), override: numberOrNull(args, "divisor_override") };
}

/** The output size of an adaptive pool; null keeps the input's. */
export function adaptiveSize(args: Arguments): Pair {
  const [height, width] = tensorOf(args, "self").shape.slice(-2) as [number, number];
  const wanted = Array.isArray(args.output_size) ? args.output_size : [args.output_size, args.output_size];
  return [(wanted[0] as number | null) ?? height, (wanted[1] as number | null) ?? width];
}

function averagePool(args: Arguments): Tensor {
  const [input, window] = [tensorOf(args, "self"), poolOf(args)];
  const [height, width] = input.shape.slice(2) as [number, number];
  return averageSpansPool(input, averageSpans(height, window, 0), averageSpans(width, window, 1), divisorOf(args));
}

function adaptiveAverage(args: Arguments): Tensor {
  const [input, outputs] = [tensorOf(args, "self"), adaptiveSize(args)];
  const [height, width] = input.shape.slice(2) as [number, number];
  const divisor = { countPadding: true, override: null };
  return averageSpansPool(input, adaptiveSpans(height, outputs[0]), adaptiveSpans(width, outputs[1]), divisor);
}

function prelu(args: Arguments): Tensor {
  const [input, weight] = [tensorOf(args, "self"), tensorOf(args, "weight")];
  const shape = input.shape.map((_, axis) => (axis === 1 ? weight.data.length : 1));
  const slope = input.shape.length < 2 ? weight : { shape, data: weight.data };
  return combine(input, slope, (x, factor) => (x < 0 ? x * factor : x));
}

/** add and sub scale their second operand. */
function scaled(sign: 1 | -1): Operation {
  return (args) => {
    const alpha = sign * numberOf(args, "alpha", 1);
    return combine(tensorOf(args, "self"), tensorOf(args, "other"), (a, b) => a + alpha * b);
  };
}

function operands(f: (a: number, b: number) => number): Operation {
  return (args) => combine(tensorOf(args, "self"), tensorOf(args, "other"), f);
}

function normalised(args: Arguments): { weight: Tensor | null; bias: Tensor | null; epsilon: number } {
  return {
    weight: tensorOrNull(args, "weight"),
    bias: tensorOrNull(args, "bias"),
    epsilon: numberOf(args, "eps", 1e-5),
  };
}

function reduction(how: "mean" | "sum" | "amax"): Operation {
  return (args) => reduce(tensorOf(args, "self"), numbersOf(args, "dim", []), flagOf(args, "keepdim"), how);
}

const OTHERS: Readonly<Record<string, Operation>> = {
  conv2d: (args) => {
    const { input, window } = convolved(args);
    return conv2d(input, tensorOf(args, "weight"), tensorOrNull(args, "bias"), window, numberOf(args, "groups", 1));
  },
  linear: (args) => linear(tensorOf(args, "input"), tensorOf(args, "weight"), tensorOrNull(args, "bias")),
  matmul: (args) => matmul(tensorOf(args, "self"), tensorOf(args, "other")),
  bmm: (args) => matmul(tensorOf(args, "self"), tensorOf(args, "mat2")),
  attention_scores: (args) => {
    const [query, key, scale] = [tensorOf(args, "query"), tensorOf(args, "key"), numberOrNull(args, "scale")];
    return attentionScores(query, key, tensorOrNull(args, "attn_mask"), flagOf(args, "is_causal"), scale);
  },
  // its weights are a node of their own
  scaled_dot_product_attention: (args) => matmul(tensorOf(args, "weights"), tensorOf(args, "value")),
  batch_norm: (args) => {
    const { weight, bias, epsilon } = normalised(args);
    return batchNorm(
      tensorOf(args, "input"),
      tensorOf(args, "running_mean"),
      tensorOf(args, "running_var"),
      weight,
      bias,
      epsilon,
    );
  },
  layer_norm: (args) => {
    const { weight, bias, epsilon } = normalised(args);
    return layerNorm(tensorOf(args, "input"), numbersOf(args, "normalized_shape").length, weight, bias, epsilon);
  },
  group_norm: (args) => {
    const { weight, bias, epsilon } = normalised(args);
    return groupNorm(tensorOf(args, "input"), numberOf(args, "num_groups"), weight, bias, epsilon);
  },
  instance_norm: (args) => {
    const [input, { weight, bias, epsilon }] = [tensorOf(args, "input"), normalised(args)];
    if (flagOf(args, "use_input_stats", true)) return groupNorm(input, input.shape[1]!, weight, bias, epsilon);
    return batchNorm(input, tensorOf(args, "running_mean"), tensorOf(args, "running_var"), weight, bias, epsilon);
  },
  softmax: (args) => softmax(tensorOf(args, "self"), numberOf(args, "dim")),
  log_softmax: (args) => softmax(tensorOf(args, "self"), numberOf(args, "dim"), true),
  mean: reduction("mean"),
  sum: reduction("sum"),
  amax: reduction("amax"),
  max: reduction("amax"),
  max_pool2d: (args) => maxPool2d(tensorOf(args, "self"), poolOf(args)),
  avg_pool2d: averagePool,
  adaptive_avg_pool2d: adaptiveAverage,
  adaptive_max_pool2d: (args) => adaptiveMaxPool2d(tensorOf(args, "self"), adaptiveSize(args)),
  add: scaled(1),
  sub: scaled(-1),
  rsub: (args) =>
    combine(tensorOf(args, "other"), tensorOf(args, "self"), (a, b) => a - numberOf(args, "alpha", 1) * b),
  mul: operands((a, b) => a * b),
  div: operands((a, b) => a / b),
  maximum: operands((a, b) => Math.max(a, b)),
  minimum: operands((a, b) => Math.min(a, b)),
  pow: (args) => combine(tensorOf(args, "self"), tensorOf(args, "exponent"), (a, b) => a ** b),
  prelu,
  // what only a training does, and what only moves numbers
  ...Object.fromEntries(
    ["dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"].map((name) => [
      name,
      (args: Arguments) => tensorOf(args, "input"),
    ]),
  ),
  cat: (args) => shapes.cat(tensorsOf(args, "tensors"), numberOf(args, "dim", 0)),
  stack: (args) => shapes.stack(tensorsOf(args, "tensors"), numberOf(args, "dim", 0)),
  flatten: (args) =>
    shapes.flatten(tensorOf(args, "self"), numberOf(args, "start_dim", 0), numberOf(args, "end_dim", -1)),
  unflatten: (args) => {
    const [input, axis] = [tensorOf(args, "self"), numberOf(args, "dim")];
    const at = axis < 0 ? axis + input.shape.length : axis;
    return shapes.reshape(input, [
      ...input.shape.slice(0, at),
      ...numbersOf(args, "sizes"),
      ...input.shape.slice(at + 1),
    ]);
  },
  reshape: (args) =>
    shapes.reshape(tensorOf(args, "self"), numbersOf(args, args.shape === undefined ? "size" : "shape")),
  permute: (args) => shapes.permute(tensorOf(args, "self"), numbersOf(args, "dims")),
  transpose: (args) => shapes.transpose(tensorOf(args, "self"), numberOf(args, "dim0"), numberOf(args, "dim1")),
  expand: (args) => shapes.expand(tensorOf(args, "self"), numbersOf(args, "size")),
  squeeze: (args) => shapes.squeeze(tensorOf(args, "self"), args.dim === undefined ? null : numbersOf(args, "dim")),
  unsqueeze: (args) => shapes.unsqueeze(tensorOf(args, "self"), numberOf(args, "dim")),
  select: selected,
  slice: sliced,
  pad: (args) => shapes.pad(tensorOf(args, "self"), numbersOf(args, "pad"), numberOrNull(args, "value") ?? 0),
};

/** One index along an axis; or all of them (unbind), of which `item` then takes one. */
function selected(args: Arguments): Tensor | Tensor[] {
  const [input, axis] = [tensorOf(args, "self"), numberOf(args, "dim", 0)];
  return args.index === undefined ? shapes.unbind(input, axis) : shapes.select(input, axis, numberOf(args, "index"));
}

/** A run along an axis; or the parts that split and chunk cut, of which `item` then takes one. */
function sliced(args: Arguments): Tensor | Tensor[] {
  const [input, axis] = [tensorOf(args, "self"), numberOf(args, "dim", 0)];
  if (args.chunks !== undefined) return shapes.chunk(input, numberOf(args, "chunks"), axis);
  if (args.split_sizes !== undefined) return shapes.split(input, numbersOf(args, "split_sizes"), axis);
  if (Array.isArray(args.split_size)) return shapes.split(input, numbersOf(args, "split_size"), axis);
  if (args.split_size !== undefined) return shapes.pieces(input, numberOf(args, "split_size"), axis);
  const end = numberOrNull(args, "end") ?? Number.MAX_SAFE_INTEGER;
  return shapes.slice(input, axis, numberOrNull(args, "start") ?? 0, end, numberOf(args, "step", 1));
}

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...Object.fromEntries(
    Object.entries(ACTIVATIONS).map(([name, activation]) => [
      name,
      (args: Arguments) => map(tensorOf(args, "self"), activation(args)),
    ]),
  ),
  ...OTHERS,
};
