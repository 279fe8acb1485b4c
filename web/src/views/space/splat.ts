/**
 * Points as pixels: the drawing loop of the scatter. Marks are blended into a pixel buffer by hand, which draws 20,000
 * points in a few milliseconds where a call of the canvas per point would not.
 */

import { type Camera, screenX, screenY, type Size } from "./camera.ts";

/** A mark: how much each of its pixels covers, 0..255, `side` x `side`. */
export interface Mark {
  side: number;
  cover: Uint8Array;
}

export type Shape = "dot" | "cross" | "square";
/** The ninth class takes the first colour again with the next mark, as in the report. */
export const SHAPES: readonly Shape[] = ["dot", "cross", "square"];

/** The mark of a shape, smoothed at its edge by 4 x 4 samples a pixel; `radius` in pixels. */
export function mark(shape: Shape, radius: number): Mark {
  const side = 2 * Math.ceil(radius + 0.5) + 1;
  const middle = side / 2;
  const cover = new Uint8Array(side * side);
  const within: Record<Shape, (x: number, y: number) => boolean> = {
    dot: (x, y) => x * x + y * y <= radius * radius,
    square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= radius * 0.86,
    cross: (x, y) => Math.min(Math.abs(x - y), Math.abs(x + y)) <= radius * 0.52 && Math.max(Math.abs(x), Math.abs(y)) <= radius,
  };
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      let inside = 0;
      for (let sample = 0; sample < 16; sample++) {
        const x = column + ((sample & 3) + 0.5) / 4 - middle;
        const y = row + ((sample >> 2) + 0.5) / 4 - middle;
        if (within[shape](x, y)) inside += 1;
      }
      cover[row * side + column] = Math.round((255 * inside) / 16);
    }
  }
  return { side, cover };
}

export interface Points {
  /** x and y of each point, one after the other. */
  positions: Float32Array;
  /** Class of each point, -1 where it is not known. */
  labels: Int32Array;
  /** 0..255 per point: how much of its class's opacity it has; without it, all. */
  weight?: Uint8Array | null;
}

export interface Style {
  /** One per shape. */
  marks: readonly Mark[];
  /** RGB per class colour, one after the other; a point without a class takes `unknown`. */
  colours: Uint8Array;
  unknown: readonly [number, number, number];
  /** 0..255 of how opaque the points of a class are, 0: hidden; the last entry is for points without a class. */
  opacity: Uint8Array;
}

/** Points of one class after the other, so that the loop's colour and mark change once a class. */
export function byClass(labels: Int32Array, classes: number): { order: Int32Array; starts: Int32Array } {
  const starts = new Int32Array(classes + 2);
  const bucket = (label: number): number => (label >= 0 && label < classes ? label : classes);
  for (const label of labels) starts[bucket(label) + 1]! += 1;
  for (let at = 0; at <= classes; at++) starts[at + 1]! += starts[at]!;
  const next = starts.slice();
  const order = new Int32Array(labels.length);
  for (let index = 0; index < labels.length; index++) order[next[bucket(labels[index]!)]!++] = index;
  return { order, starts };
}

/**
 * Draw points into RGBA pixels (straight alpha), one class over the other in the order of `byClass`. `size` is in
 * device pixels and so is the camera's scale.
 */
export function splat(
  pixels: Uint8ClampedArray, size: Size, camera: Camera, points: Points, style: Style,
  sorted: { order: Int32Array; starts: Int32Array },
): void {
  pixels.fill(0);
  const classes = sorted.starts.length - 2;
  const { width, height } = size;
  for (let group = 0; group <= classes; group++) {
    const opacity = style.opacity[group] ?? 255;
    if (!opacity) continue;
    const colour = group < classes ? 3 * (group % (style.colours.length / 3)) : -1;
    const red = colour < 0 ? style.unknown[0] : style.colours[colour]!;
    const green = colour < 0 ? style.unknown[1] : style.colours[colour + 1]!;
    const blue = colour < 0 ? style.unknown[2] : style.colours[colour + 2]!;
    const shape = style.marks[Math.floor(group / (style.colours.length / 3)) % style.marks.length]!;
    const { side, cover } = shape;
    const half = side >> 1;
    for (let at = sorted.starts[group]!; at < sorted.starts[group + 1]!; at++) {
      const index = sorted.order[at]!;
      const left = Math.round(screenX(camera, size, points.positions[2 * index]!)) - half;
      const top = Math.round(screenY(camera, size, points.positions[2 * index + 1]!)) - half;
      // also passes over places that are not numbers
      if (!(left + side > 0 && top + side > 0 && left < width && top < height)) continue;
      const strength = (opacity / 255) * ((points.weight?.[index] ?? 255) / 255);
      for (let row = 0; row < side; row++) {
        const y = top + row;
        if (y < 0 || y >= height) continue;
        for (let column = 0; column < side; column++) {
          const x = left + column;
          const alpha = cover[row * side + column]! * strength;
          if (!alpha || x < 0 || x >= width) continue;
          blend(pixels, 4 * (y * width + x), red, green, blue, alpha);
        }
      }
    }
  }
}

/** One pixel over another (Porter and Duff 1984), alpha 0..255 and not premultiplied. */
function blend(pixels: Uint8ClampedArray, at: number, red: number, green: number, blue: number, alpha: number): void {
  const below = pixels[at + 3]!;
  if (alpha >= 254.5 || !below) {
    pixels[at] = red;
    pixels[at + 1] = green;
    pixels[at + 2] = blue;
    pixels[at + 3] = Math.max(alpha, below);
    return;
  }
  const rest = (below * (255 - alpha)) / 255;
  const total = alpha + rest;
  pixels[at] = (red * alpha + pixels[at]! * rest) / total;
  pixels[at + 1] = (green * alpha + pixels[at + 1]! * rest) / total;
  pixels[at + 2] = (blue * alpha + pixels[at + 2]! * rest) / total;
  pixels[at + 3] = total;
}
