/** A recorded probe of three images and its snapshots, for tests. */

import type { Probe, Snapshot } from "../../src/parts/snapshots.ts";
import { array, type NdArray } from "../../src/protocol/wire.ts";
import { floats, integers } from "./timeline/lines.ts";

const bytes = (...shape: number[]): NdArray<Uint8Array> => {
  const size = shape.reduce((product, length) => product * length, 1);
  return array(Uint8Array.from({ length: size }, (_, index) => (7 * index) % 256), shape) as NdArray<Uint8Array>;
};

/** Snapshots at 0, 30 and 60. */
export const probe: Probe = {
  ids: ["probe/0", "probe/1", "probe/2"],
  images: bytes(3, 4, 4, 3),
  labels: integers(0, 1, -1),
  classes: ["<script>alert(1)</script>", "dog"],
  steps: integers(0, 30, 60),
  best: { ...integers(0, 0, 0, 0, 1, 1, 0, 1, 1), shape: [3, 3] },
  best_share: { ...floats(0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9), shape: [3, 3] },
  label_share: { ...floats(0.5, 0.5, NaN, 0.6, 0.7, NaN, 0.9, 0.9, NaN), shape: [3, 3] },
  layers: [
    { name: "conv", kind: "Conv2d", shape: [6, 3, 3], kept: 2, low: floats(-1, -2, -1), high: floats(1, 1, 3) },
    { name: "fc", kind: "Linear", shape: [4], kept: 4, low: floats(0, 0, 0), high: floats(1, 1, 1) },
  ],
};

export function snapshot({ step, layers, images, channels }: { step: number; layers: string[]; images?: number[]; channels?: number[] }): Snapshot {
  const rows = images ?? [0, 1, 2];
  const held = [0, 5].filter((channel) => !channels || channels.includes(channel));
  const found = {
    conv: { values: bytes(rows.length, held.length, 3, 3), low: -1, high: 2, channels: integers(...held) },
    fc: { values: bytes(rows.length, 4), low: 0, high: 1, channels: integers(0, 1, 2, 3) },
  };
  return {
    step,
    images: integers(...rows),
    probabilities: { ...floats(...rows.flatMap(() => [0.75, 0.25])), shape: [rows.length, 2] },
    layers: Object.fromEntries(layers.map((name) => [name, found[name as "conv"]])),
  };
}
