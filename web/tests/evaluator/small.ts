/** A small network by hand: a convolution with padding, ReLU, a pool, and a linear layer. */

import { array } from "../../src/protocol/wire.ts";
import type { Carried, Node } from "../../src/evaluator/run.ts";
import type { Offline } from "../../src/evaluator/subject.ts";

export function node(
  name: string,
  operation: string,
  shape: number[],
  args: Record<string, Carried>,
  opens = true,
): Node {
  return { name, module: name, operation, shape, opens, settings: {}, arguments: args, item: null };
}

/** Takes (1, 4, 4); every weight can be followed in one's head. */
export function small(): Offline {
  const kernel = [0, 0, 0, 0, 1, 0, 0, 0, 0, /**/ 0, 0, 0, -1, 0, 1, 0, 0, 0];
  return {
    nodes: [
      node("input", "input", [1, 4, 4], {}, false),
      node("conv", "conv2d", [2, 4, 4], {
        input: { node: "input" },
        weight: { weight: "conv.weight" },
        bias: { weight: "conv.bias" },
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 1,
      }),
      node("relu", "relu", [2, 4, 4], { self: { node: "conv" } }),
      node("pool", "max_pool2d", [2, 2, 2], { self: { node: "relu" }, kernel_size: [2, 2], stride: [2, 2] }),
      node("flatten", "flatten", [8], { self: { node: "pool" }, start_dim: 1, end_dim: -1 }),
      node("fc", "linear", [2], { input: { node: "flatten" }, weight: { weight: "fc.weight" } }),
    ],
    output: "fc",
    weights: {
      "conv.weight": array(Float32Array.from(kernel), [2, 1, 3, 3]) as Offline["weights"][string],
      "conv.bias": array(Float32Array.of(0, 0.5)) as Offline["weights"][string],
      "fc.weight": array(
        Float32Array.from({ length: 16 }, (_, at) => (at < 4 ? 1 : at >= 12 ? 2 : 0)),
        [2, 8],
      ) as Offline["weights"][string],
    },
    preprocess: {
      mode: "L",
      height: 4,
      width: 4,
      fit: "crop",
      crop: 1,
      interpolation: "bilinear",
      mean: [0],
      std: [1],
    },
    classes: ["left", "right"],
    pictures: [
      {
        id: "probe/0",
        name: "steps",
        label: 1,
        prepared: true,
        pixels: { dtype: "uint8", shape: [4, 4, 1], data: Uint8Array.from({ length: 16 }, (_, at) => (at % 4) * 51) },
      },
    ],
  };
}

/** The picture's input: columns of 0, 0.2, 0.4, 0.6. */
export const STEPS = { shape: [1, 4, 4], data: Float32Array.from({ length: 16 }, (_, at) => (at % 4) * 0.2) };
