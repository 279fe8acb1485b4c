import { type MapOfNumbers, valueAt } from "../../drawing/maps.ts";

/** Row and column of the value with the largest magnitude; the first of equal ones. */
export function strongest(map: MapOfNumbers): [number, number] {
  let [best, size] = [0, -1];
  for (let index = 0; index < map.rows * map.columns; index++) {
    const value = Math.abs(valueAt(map, Math.floor(index / map.columns), index % map.columns));
    if (value > size) [best, size] = [index, value];
  }
  return [Math.floor(best / map.columns), best % map.columns];
}
