import { describe, expect, it } from "vitest";
import { LEVELS, SEQUENTIAL } from "../../../src/drawing/colours.ts";
import { array } from "../../../src/protocol/wire.ts";
import { area, type ClassesAnswer, ordered, rowShares } from "../../../src/views/classes/answers.ts";
import { atThreshold, bins, path, pointsOf } from "../../../src/views/classes/curves.ts";
import { matrixPixels, needsBlack } from "../../../src/views/classes/matrix.ts";

const answer = {
  recall: array(Float32Array.of(0.9, 0.5, 0, 0.5)),
  auroc: array(Float32Array.of(0.99, NaN, NaN, 0.7)),
  support: array(Int32Array.of(10, 10, 0, 4)),
} as ClassesAnswer;

describe("classes in order", () => {
  it("the worst come first, those without images last", () => {
    expect(ordered(answer, "recall", true)).toEqual([1, 3, 0, 2]);
    expect(ordered(answer, "recall", false)).toEqual([0, 1, 3, 2]);
    expect(ordered(answer, "auroc", true)).toEqual([3, 0, 1, 2]);
  });

  it("an area is never called perfect for less", () => {
    expect([area(1), area(0.99996), area(0.5), area(NaN)]).toEqual(["1.000", "0.999", "0.500", "–"]);
  });
});

describe("the matrix", () => {
  const shares = rowShares(array(Int32Array.of(9, 1, 0, 0), [2, 2]));

  it("is shares of its rows; a class without images has none", () => {
    expect([...shares].map((share) => Math.round(1000 * share))).toEqual([900, 100, 0, 0]);
  });

  it("leaves empty cells empty and gives the whole row the last colour", () => {
    const pixels = matrixPixels(Float32Array.of(1, 0, 0.0001, 0.5));
    expect([...pixels.subarray(0, 4)]).toEqual([...SEQUENTIAL.subarray(3 * (LEVELS - 1)), 255]);
    expect(pixels[7]).toBe(0);
    expect(pixels[11]).toBe(255);
    expect(needsBlack(0.9)).toBe(true);
    expect(needsBlack(0.01)).toBe(false);
  });
});

describe("curves", () => {
  const roc = array(Float32Array.of(0, 0, 1.1, 0, 0.5, 0.8, 0.2, 0.9, 0.4, 1, 1, 0), [4, 3]);

  it("are points and paths with y upwards", () => {
    expect(pointsOf(roc)[2]).toEqual([Math.fround(0.2), Math.fround(0.9)]);
    expect(path([[0, 0], [0.5, 1]], 100)).toBe("M0.0 100.0L50.0 0.0");
    expect(path([], 100)).toBe("");
  });

  it("a threshold lies at the last point that is called the class with it", () => {
    expect(atThreshold(roc, 0.8)).toEqual([0, 0.5]);
    expect(atThreshold(roc, 0.6)).toEqual([0, 0.5]);
    expect(atThreshold(roc, 0.1)).toEqual([Math.fround(0.2), Math.fround(0.9)]);
    expect(atThreshold(roc, 2)).toBe(null);
  });

  it("bins without images are left out", () => {
    const table = array(Float32Array.of(0, 0, 0, 0.5, 0.25, 4), [2, 3]);
    expect(bins(table)).toEqual([{ confidence: 0.5, accuracy: 0.25, count: 4 }]);
  });
});
