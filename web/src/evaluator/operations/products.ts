/** Matrix products: linear layers, batched matrix products, attention. */

import { multiplyRows, weightsOf } from "./rows.ts";
import { broadcastShape, broadcastStrides, offsets, size, type Tensor } from "../tensor.ts";

/** (..., inputs) with weights (outputs, inputs) to (..., outputs). */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const [outputs, inputs] = weight.shape as [number, number];
  if (input.shape.at(-1) !== inputs) {
    throw new Error(`linear: ${input.shape.at(-1)} numbers came in, the weights expect ${inputs}`);
  }
  const data = new Float32Array((input.data.length / inputs) * outputs);
  const target = { data, start: 0, perOutput: 1, perRow: outputs };
  const weights = weightsOf(weight.data, 0, outputs, inputs);
  multiplyRows(
    new Float64Array(input.data),
    input.data.length / inputs,
    weights,
    bias === null ? null : bias.data,
    0,
    target,
  );
  return { shape: [...input.shape.slice(0, -1), outputs], data };
}

/** (..., n, k) times (..., k, m): (..., n, m); the leading axes broadcast. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const [n, k] = a.shape.slice(-2) as [number, number];
  const [inner, m] = b.shape.slice(-2) as [number, number];
  if (a.shape.length < 2 || b.shape.length < 2 || k !== inner) {
    throw new Error(`matmul: shapes (${a.shape.join(", ")}) and (${b.shape.join(", ")}) do not fit`);
  }
  const [left, right] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const outer = broadcastShape(left, right);
  const fromA = offsets(outer, broadcastStrides(left, outer));
  const fromB = offsets(outer, broadcastStrides(right, outer));
  const data = new Float32Array(size(outer) * n * m);
  const sum = new Float64Array(m);
  for (let batch = 0; batch < fromA.length; batch++) {
    for (let row = 0; row < n; row++) {
      sum.fill(0);
      for (let i = 0; i < k; i++) {
        const factor = a.data[(fromA[batch]! * n + row) * k + i]!;
        const start = (fromB[batch]! * k + i) * m;
        for (let column = 0; column < m; column++) sum[column] = sum[column]! + factor * b.data[start + column]!;
      }
      data.set(sum, (batch * n + row) * m);
    }
  }
  return { shape: [...outer, n, m], data };
}

/** q k' scale + mask: (..., queries, keys); -Infinity where a causal mask forbids. Without a scale 1 / sqrt(width). */
export function attentionScores(
  query: Tensor,
  key: Tensor,
  mask: Tensor | null,
  causal: boolean,
  scale: number | null,
): Tensor {
  const scores = matmul(query, lastTwoSwapped(key));
  const [queries, keys] = scores.shape.slice(-2) as [number, number];
  const factor = scale ?? 1 / Math.sqrt(query.shape.at(-1)!);
  const added = mask === null ? null : offsets(scores.shape, broadcastStrides(mask.shape, scores.shape));
  for (let at = 0; at < scores.data.length; at++) {
    const more = added === null ? 0 : mask!.data[added[at]!]!;
    const hidden = causal && at % keys > Math.floor(at / keys) % queries;
    scores.data[at] = hidden ? -Infinity : scores.data[at]! * factor + more;
  }
  return scores;
}

function lastTwoSwapped(tensor: Tensor): Tensor {
  const [rows, columns] = tensor.shape.slice(-2) as [number, number];
  const plane = rows * columns;
  const data = new Float32Array(tensor.data.length);
  for (let start = 0; start < data.length; start += plane) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        data[start + column * rows + row] = tensor.data[start + row * columns + column]!;
      }
    }
  }
  return { shape: [...tensor.shape.slice(0, -2), columns, rows], data };
}
