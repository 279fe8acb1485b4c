/** A confusion matrix as a picture, for many classes. */

import { LEVELS, SEQUENTIAL } from "../../drawing/colours.ts";

/** Mistakes are small shares: their square roots are what the colours stand for. */
export const level = (share: number): number => Math.sqrt(Math.min(Math.max(share, 0), 1));

/** RGBA pixels, one per cell; cells without images are transparent. */
export function matrixPixels(shares: Float32Array): Uint8ClampedArray<ArrayBuffer> {
  const out = new Uint8ClampedArray(4 * shares.length);
  shares.forEach((share, index) => {
    if (!share) return;
    const at = 3 * Math.round(level(share) * (LEVELS - 1));
    out.set([SEQUENTIAL[at]!, SEQUENTIAL[at + 1]!, SEQUENTIAL[at + 2]!, 255], 4 * index);
  });
  return out;
}

/** Whether black text reads on the colour of a share. */
export const needsBlack = (share: number): boolean => level(share) > 0.55;
