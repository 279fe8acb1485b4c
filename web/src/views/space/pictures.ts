/** Which points are shown as pictures: as many as there is room for, always the same ones. */

import { type Camera, screenX, screenY, type Size } from "./camera.ts";

export interface Placed {
  index: number;
  x: number;
  y: number;
}

/** A stride that visits every point once, far from neighbour to neighbour: images often lie in the order of classes. */
export function stride(count: number): number {
  const common = (a: number, b: number): number => (b ? common(b, a % b) : a);
  let found = Math.max(1, Math.round(count * 0.381966));
  while (common(found, count) > 1) found += 1;
  return found;
}

/**
 * One point per square of a grid that moves and grows with the plane, the first of them in a fixed order: panning
 * changes nothing, and a step nearer adds pictures without exchanging those that are there.
 *
 * `room` is the side of the square that a picture needs, in pixels.
 */
export function placed(
  positions: Float32Array, camera: Camera, size: Size, room: number, most: number, allowed: (index: number) => boolean,
): Placed[] {
  // squares halve as the plane is looked at from nearer, so that every square of before is four of now
  const unit = 2 ** Math.ceil(Math.log2(room / camera.scale));
  const taken = new Set<number>();
  const found: Placed[] = [];
  const count = positions.length >> 1;
  const skip = stride(count);
  for (let turn = 0; turn < count && found.length < most; turn++) {
    const index = (turn * skip) % count;
    const x = screenX(camera, size, positions[2 * index]!);
    const y = screenY(camera, size, positions[2 * index + 1]!);
    if (!(x > -room && y > -room && x < size.width + room && y < size.height + room) || !allowed(index)) continue;
    const square = Math.floor(positions[2 * index]! / unit) * 1e6 + Math.floor(positions[2 * index + 1]! / unit);
    if (taken.has(square)) continue;
    taken.add(square);
    found.push({ index, x, y });
  }
  return withoutOverlaps(found, room);
}

/** Neighbouring squares can hold points side by side: the earlier one stays. */
function withoutOverlaps(found: readonly Placed[], room: number): Placed[] {
  const kept: Placed[] = [];
  const least = room * 0.62;
  for (const one of found) {
    if (kept.every((other) => Math.abs(other.x - one.x) >= least || Math.abs(other.y - one.y) >= least)) kept.push(one);
  }
  return kept;
}
