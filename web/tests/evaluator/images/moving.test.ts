import { describe, expect, it } from "vitest";
import { moved, STILL } from "../../../src/evaluator/images/moving.ts";
import type { Pixels } from "../../../src/evaluator/images/pixels.ts";

const picture: Pixels = { height: 3, width: 3, channels: 1, data: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]) };
const turned = (move: object): number[] => [...moved(picture, { ...STILL, ...move }).data];

describe("moved", () => {
  it("leaves alone what does not move", () => {
    expect(moved(picture, STILL)).toBe(picture);
  });

  it("shifts down and right, repeating the edge", () => {
    expect(turned({ shift: [1, 0] })).toEqual([1, 2, 3, 1, 2, 3, 4, 5, 6]);
    expect(turned({ shift: [0, 1] })).toEqual([1, 1, 2, 4, 4, 5, 7, 7, 8]);
    expect(turned({ shift: [0, 0.5] })).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]); // halves are rounded up
  });

  it("turns counter-clockwise", () => {
    expect(turned({ rotate: 90 })).toEqual([3, 6, 9, 2, 5, 8, 1, 4, 7]);
  });

  it("enlarges about the middle", () => {
    expect(turned({ scale: 2 })).toEqual([3, 4, 4, 5, 5, 6, 6, 7, 7]);
  });
});
