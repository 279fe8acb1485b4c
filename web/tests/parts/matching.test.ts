import { expect, it } from "vitest";
import { matching } from "../../src/parts/matching.ts";

const CLASSES = ["pool table, billiard table", "tabby cat", "constable", "Table lamp", "<table>", "猫"];

it("finds names that begin so first, then words, then the rest", () => {
  expect(matching(CLASSES, "table")).toEqual([3, 0, 4, 2]);
  expect(matching(CLASSES, "tab")).toEqual([1, 3, 0, 4, 2]);
});

it("takes any text", () => {
  expect(matching(CLASSES, " <TABLE> ")).toEqual([4]);
  expect(matching(CLASSES, "猫")).toEqual([5]);
  expect(matching(CLASSES, "(")).toEqual([]);
  expect(matching(CLASSES, "", 2)).toEqual([0, 1]);
});
