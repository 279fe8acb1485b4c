/** The sums of products behind convolutions and linear layers. */

/** Weights (outputs, taps) in float64, filled up with zeros to whole blocks of `BLOCK` outputs. */
export interface Weights {
  readonly data: Float64Array;
  readonly outputs: number;
  readonly taps: number;
}

const BLOCK = 4;

export function weightsOf(source: Float32Array, first: number, outputs: number, taps: number): Weights {
  const data = new Float64Array(Math.ceil(outputs / BLOCK) * BLOCK * taps);
  data.set(source.subarray(first * taps, (first + outputs) * taps));
  return { data, outputs, taps };
}

/** Where results go: that of output o and row r to `start + o * perOutput + r * perRow`. */
export interface Target {
  readonly data: Float32Array;
  readonly start: number;
  readonly perOutput: number;
  readonly perRow: number;
}

/**
 * Every row of `rows` (count, taps) times every row of weights, plus its bias (from `firstBias` on).
 *
 * Four outputs at a time: a number of the row is then read once for four products, and the four sums, which do not wait
 * for each other, stay in registers.
 */
export function multiplyRows(
  rows: Float64Array,
  count: number,
  { data: weights, outputs, taps }: Weights,
  bias: Float32Array | null,
  firstBias: number,
  target: Target,
): void {
  for (let output = 0; output < outputs; output += BLOCK) {
    const first = output * taps;
    const [second, third, fourth] = [first + taps, first + 2 * taps, first + 3 * taps];
    for (let row = 0; row < count; row++) {
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let tap = 0, at = row * taps; tap < taps; tap++, at++) {
        const value = rows[at]!;
        a += value * weights[first + tap]!;
        b += value * weights[second + tap]!;
        c += value * weights[third + tap]!;
        d += value * weights[fourth + tap]!;
      }
      const last = Math.min(BLOCK, outputs - output);
      for (let block = 0; block < last; block++) {
        const sum = block === 0 ? a : block === 1 ? b : block === 2 ? c : d;
        const at = target.start + (output + block) * target.perOutput + row * target.perRow;
        target.data[at] = sum + (bias === null ? 0 : bias[firstBias + output + block]!);
      }
    }
  }
}
