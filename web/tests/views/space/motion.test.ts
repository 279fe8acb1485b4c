import { describe, expect, it } from "vitest";
import { nearestEpoch, offered, type Spaces } from "../../../src/views/space/answers.ts";
import { between, eased, matched } from "../../../src/views/space/motion.ts";
import { placed, stride } from "../../../src/views/space/pictures.ts";
import { array } from "../../../src/protocol/wire.ts";

describe("motion", () => {
  it("starts and ends slowly, at the ends", () => {
    expect([eased(-1), eased(0), eased(0.5), eased(1), eased(2)]).toEqual([0, 0, 0.5, 1, 1]);
    expect(eased(0.1)).toBeLessThan(0.1);
  });

  it("goes straight from one layout to the next", () => {
    const out = new Float32Array(2);
    expect([...between(Float32Array.of(0, 4), Float32Array.of(2, 0), 0.25, out)]).toEqual([0.5, 3]);
  });

  it("follows images, not places in the list", () => {
    const from = matched(["b", "new", "a"], Float32Array.of(9, 9, 8, 8, 7, 7), ["a", "b"], Float32Array.of(1, 2, 3, 4));
    expect([...from]).toEqual([3, 4, 8, 8, 1, 2]);
    expect([...matched(["a"], Float32Array.of(5, 5), ["a"], Float32Array.of(1, 2))]).toEqual([1, 2]);
  });
});

describe("pictures", () => {
  const size = { width: 400, height: 300 };
  const positions = Float32Array.from({ length: 800 }, (_, at) => Math.sin(at * 12.9898) * 43758.5453 % 1);
  const all = (): boolean => true;

  it("never cover each other by much, and stay when the plane is moved", () => {
    const camera = { x: 0, y: 0, scale: 150 };
    const found = placed(positions, camera, size, 50, 500, all);
    expect(found.length).toBeGreaterThan(5);
    for (const one of found) {
      for (const other of found) {
        const apart = Math.max(Math.abs(one.x - other.x), Math.abs(one.y - other.y));
        expect(one === other || apart >= 0.62 * 50).toBe(true);
      }
    }
    const moved = placed(positions, { ...camera, x: 0.01 }, size, 50, 500, all);
    expect(moved.map(({ index }) => index)).toEqual(found.map(({ index }) => index));
  });

  it("are as many as are allowed, of points that may be shown and are in sight", () => {
    const camera = { x: 0, y: 0, scale: 3000 };
    expect(placed(positions, camera, size, 50, 3, all).length).toBeLessThanOrEqual(3);
    for (const { index, x } of placed(positions, camera, size, 50, 500, (one) => one % 2 === 0)) {
      expect(index % 2).toBe(0);
      expect(Math.abs(x - 200)).toBeLessThanOrEqual(250);
    }
  });

  it("are drawn from all classes, though images lie in their order", () => {
    for (const count of [1, 2, 3, 10, 500, 20000]) {
      const skip = stride(count);
      const visited = new Set(Array.from({ length: count }, (_, turn) => (turn * skip) % count));
      expect(visited.size).toBe(count);
    }
    const early = Array.from({ length: 10 }, (_, turn) => Math.floor(((turn * stride(500)) % 500) / 50));
    expect(new Set(early).size).toBeGreaterThan(5);
  });
});

describe("epochs", () => {
  const spaces = {
    epochs: array(Int32Array.of(0, 1, 2, 3)), steps: array(Int32Array.of(0, 50, 100, 150)),
  } as Spaces;

  it("follow the step that is chosen", () => {
    expect(nearestEpoch(offered(spaces), 90)).toBe(2);
    expect(nearestEpoch(offered(spaces), 0)).toBe(0);
    expect(nearestEpoch(offered(spaces), null)).toBe(3);
    expect(nearestEpoch([], 3)).toBe(null);
  });
});
