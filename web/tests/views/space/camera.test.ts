import { describe, expect, it } from "vitest";
import { fitted, MARGIN, NEAREST, panned, planeX, planeY, screenX, screenY, zoomed } from "../../../src/views/space/camera.ts";

const size = { width: 600, height: 400 };
const cloud = Float32Array.of(-2, -1, 3, 1, 0, 0.5, NaN, 1);

describe("the camera", () => {
  it("shows every point within the margin, whole and centred", () => {
    const camera = fitted(cloud, size);
    for (let at = 0; at < 6; at += 2) {
      const [x, y] = [screenX(camera, size, cloud[at]!), screenY(camera, size, cloud[at + 1]!)];
      expect(x).toBeGreaterThanOrEqual(MARGIN - 0.01);
      expect(x).toBeLessThanOrEqual(size.width - MARGIN + 0.01);
      expect(y).toBeGreaterThanOrEqual(MARGIN - 0.01);
      expect(y).toBeLessThanOrEqual(size.height - MARGIN + 0.01);
    }
    expect(screenX(camera, size, 0.5)).toBeCloseTo(300);
  });

  it("has a place for a cloud without points and for one point", () => {
    expect(fitted(new Float32Array(0), size).scale).toBeGreaterThan(0);
    expect(Number.isFinite(fitted(Float32Array.of(1, 1), size).scale)).toBe(true);
  });

  it("keeps what lies below the pointer when it goes nearer", () => {
    const rest = fitted(cloud, size);
    const near = zoomed(rest, size, 120, 90, 3, rest);
    expect(planeX(near, size, 120)).toBeCloseTo(planeX(rest, size, 120));
    expect(planeY(near, size, 90)).toBeCloseTo(planeY(rest, size, 90));
    expect(near.scale).toBeCloseTo(3 * rest.scale);
    expect(zoomed(rest, size, 0, 0, 1e9, rest).scale).toBe(rest.scale * NEAREST);
    expect(zoomed(rest, size, 0, 0, 1e-9, rest).scale).toBe(rest.scale / 4);
  });

  it("moves with the hand", () => {
    const rest = fitted(cloud, size);
    const moved = panned(rest, 40, -10);
    expect(screenX(moved, size, 1) - screenX(rest, size, 1)).toBeCloseTo(40);
    expect(screenY(moved, size, 1) - screenY(rest, size, 1)).toBeCloseTo(-10);
  });
});
