/** What part of the plane is seen: places of the plane to pixels of the canvas and back. */

export interface Camera {
  /** The place in the middle of the canvas. */
  x: number;
  y: number;
  /** Pixels per unit of the plane. */
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

export const MARGIN = 28;
export const NEAREST = 60;

/** The whole cloud in sight, whatever outliers there are: the camera is the same for all frames of one spread. */
export function fitted(positions: Float32Array, size: Size): Camera {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; at + 1 < positions.length; at += 2) {
    const x = positions[at] ?? 0;
    const y = positions[at + 1] ?? 0;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  if (left > right) return { x: 0, y: 0, scale: 100 };
  const across = Math.max(size.width - 2 * MARGIN, 1) / Math.max(right - left, 1e-6);
  const down = Math.max(size.height - 2 * MARGIN, 1) / Math.max(bottom - top, 1e-6);
  return { x: (left + right) / 2, y: (top + bottom) / 2, scale: Math.min(across, down) };
}

export const screenX = (camera: Camera, size: Size, x: number): number => (x - camera.x) * camera.scale + size.width / 2;
export const screenY = (camera: Camera, size: Size, y: number): number => (y - camera.y) * camera.scale + size.height / 2;
export const planeX = (camera: Camera, size: Size, x: number): number => (x - size.width / 2) / camera.scale + camera.x;
export const planeY = (camera: Camera, size: Size, y: number): number => (y - size.height / 2) / camera.scale + camera.y;

/** Nearer or farther by a factor; what lies below a pixel stays there. `rest` bounds how far. */
export function zoomed(camera: Camera, size: Size, x: number, y: number, factor: number, rest: Camera): Camera {
  const scale = Math.min(Math.max(camera.scale * factor, rest.scale / 4), rest.scale * NEAREST);
  const [px, py] = [planeX(camera, size, x), planeY(camera, size, y)];
  return { x: px - (x - size.width / 2) / scale, y: py - (y - size.height / 2) / scale, scale };
}

export function panned(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x - dx / camera.scale, y: camera.y - dy / camera.scale };
}
