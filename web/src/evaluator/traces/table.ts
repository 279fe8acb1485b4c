/** Who opens which operation: the twin of `OPENERS` in `opsin.explanation.tracing.arithmetic`. */

import { ELEMENTWISE } from "./elementwise.ts";
import { FUNCTIONS } from "./functions.ts";
import { moved, MOVING } from "./moved.ts";
import { batchNorm, groupNorm, instanceNorm, layerNorm } from "./norms.ts";
import type { Opener } from "./opening.ts";
import { attention, attentionScores, convolution, linear, matmul } from "./sums.ts";
import {
  adaptiveAveragePool,
  adaptiveMaxPool,
  averagePool,
  logSoftmax,
  maximum,
  maxPool,
  mean,
  softmax,
  sum,
} from "./windows.ts";

export const OPENERS: Readonly<Record<string, Opener>> = {
  conv2d: convolution,
  linear,
  matmul,
  bmm: matmul,
  attention_scores: attentionScores,
  scaled_dot_product_attention: attention,
  batch_norm: batchNorm,
  layer_norm: layerNorm,
  group_norm: groupNorm,
  instance_norm: instanceNorm,
  max_pool2d: maxPool,
  avg_pool2d: averagePool,
  adaptive_avg_pool2d: adaptiveAveragePool,
  adaptive_max_pool2d: adaptiveMaxPool,
  mean,
  sum,
  amax: maximum,
  max: maximum,
  softmax,
  log_softmax: logSoftmax,
  ...FUNCTIONS,
  ...ELEMENTWISE,
  ...Object.fromEntries([...MOVING].map((name) => [name, moved])),
};
