import { describe, expect, it } from "vitest";
import { levels, mapBox, mapPosition, mapShape, nodePosition, shrunk } from "../../src/evaluator/shown.ts";

describe("shown", () => {
  it("makes three axes of any", () => {
    expect([[], [5], [4, 3], [2, 4, 3], [2, 5, 4, 3]].map(mapShape)).toEqual([
      [1, 1, 1],
      [5, 1, 1],
      [1, 4, 3],
      [2, 4, 3],
      [10, 4, 3],
    ]);
  });

  it.each([[[5]], [[4, 3]], [[2, 4, 3]], [[2, 5, 4, 3]]])("goes there and back: %j", (shape) => {
    const [channels, rows, columns] = mapShape(shape);
    for (const unit of [
      [0, 0, 0],
      [channels - 1, rows - 1, columns - 1],
    ])
      expect(mapPosition(shape, nodePosition(shape, unit))).toEqual(unit);
  });

  it("refuses a unit outside", () => {
    expect(() => nodePosition([2, 4, 3], [2, 0, 0])).toThrow(
      "unit [2, 0, 0] was asked for; the layer's maps are [2, 4, 3]",
    );
    expect(() => nodePosition([2, 4, 3], [0.5, 0, 0])).toThrow("unit");
  });

  it("makes boxes of spans, none of an empty one", () => {
    expect(
      mapBox(
        [2, 5, 4, 3],
        [
          [0, 1],
          [1, 3],
          [0, 4],
          [2, 3],
        ],
      ),
    ).toEqual([1, 3, 0, 4, 2, 3]);
    expect(
      mapBox(
        [4, 3],
        [
          [2, 2],
          [0, 1],
        ],
      ),
    ).toEqual([0, 0, 0, 0, 0, 0]);
    expect(mapBox([], [])).toEqual([0, 1, 0, 1, 0, 1]);
  });

  it("shrinks by means of squares, cut off at the edge", () => {
    const found = shrunk(Float32Array.of(0, 2, 4, 6, 8, 10), [1, 2, 3], 2);
    expect(found.shape).toEqual([1, 1, 2]);
    expect([...found.data]).toEqual([4, 7]); // (0 + 2 + 6 + 8) / 4, (4 + 10) / 2
  });

  it("turns values into bytes between the channel's own ends", () => {
    const found = levels(Float32Array.of(-1, 0, 1, 5, 5, 5), [2, 1, 3], null);
    expect([...found.values]).toEqual([0, 128, 255, 0, 0, 0]);
    expect([[...found.low], [...found.high]]).toEqual([
      [-1, 5],
      [1, 5],
    ]);
    expect([...levels(Float32Array.of(Number.NaN, 2, Infinity), [1, 1, 3], null).high]).toEqual([2]);
  });
});
