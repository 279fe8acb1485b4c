/** How a picture becomes a network's input: the twin of `opsin.data.preprocess`. */

import { zeros, type Tensor } from "../tensor.ts";
import { blank, CHANNELS, inMode, type Mode, type Pixels } from "./pixels.ts";
import { type Box, type Interpolation, resize } from "./resize.ts";

/** The fields of the Python Preprocess, as its `model_dump` writes them. */
export interface Preprocess {
  readonly mode: Mode;
  readonly height: number;
  readonly width: number;
  readonly fit: "crop" | "pad" | "stretch";
  readonly crop: number;
  readonly interpolation: Interpolation;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What the network sees of a picture, before normalising: (height, width, c). */
export function seen(picture: Pixels, preprocess: Preprocess): Pixels {
  const { height, width, interpolation } = preprocess;
  const source = inMode(picture, preprocess.mode);
  if (preprocess.fit !== "pad") return resize(source, height, width, coveredBox(source, preprocess), interpolation);
  const { top, left, rows, columns } = letterbox(source, preprocess);
  const whole = { top: 0, left: 0, bottom: source.height, right: source.width };
  const inner = resize(source, rows, columns, whole, interpolation);
  const out = blank(height, width, CHANNELS[preprocess.mode]);
  for (let row = 0; row < rows; row++) {
    const run = columns * out.channels;
    out.data.set(inner.data.subarray(row * run, (row + 1) * run), ((top + row) * width + left) * out.channels);
  }
  return out;
}

/** float32 (c, h, w): (value / 255 - mean) / std. */
export function normalise(pixels: Pixels, preprocess: Preprocess): Tensor {
  const { height, width, channels } = pixels;
  const tensor = zeros([channels, height, width]);
  for (let c = 0; c < channels; c++) {
    // the factor and the summand are rounded to float32 first, as in Python: the same numbers go in
    const factor = Math.fround(1 / (255 * preprocess.std[c]!));
    const summand = Math.fround(-preprocess.mean[c]! / preprocess.std[c]!);
    for (let at = 0; at < height * width; at++) {
      tensor.data[c * height * width + at] = pixels.data[at * channels + c]! * factor + summand;
    }
  }
  return tensor;
}

/** Where the input lies in the picture, in the picture's pixels. With `pad` it reaches beyond. */
export function geometry(picture: { height: number; width: number }, preprocess: Preprocess): Box {
  if (preprocess.fit !== "pad") return coveredBox(picture, preprocess);
  const { top, left, rows, columns } = letterbox(picture, preprocess);
  const [down, across] = [picture.height / rows, picture.width / columns];
  return {
    top: -top * down,
    left: -left * across,
    bottom: (preprocess.height - top) * down,
    right: (preprocess.width - left) * across,
  };
}

function coveredBox({ height, width }: { height: number; width: number }, preprocess: Preprocess): Box {
  if (preprocess.fit === "stretch") return { top: 0, left: 0, bottom: height, right: width };
  const covered = [round(preprocess.height / preprocess.crop), round(preprocess.width / preprocess.crop)] as const;
  let [rows, columns] = covered;
  if (covered[0] * width >= covered[1] * height) columns = Math.max(columns, Math.floor((rows * width) / height));
  else rows = Math.max(rows, Math.floor((columns * height) / width));
  const [top, left] = [round((rows - preprocess.height) / 2), round((columns - preprocess.width) / 2)];
  const [down, across] = [height / rows, width / columns];
  return {
    top: top * down,
    left: left * across,
    bottom: Math.min((top + preprocess.height) * down, height),
    right: Math.min((left + preprocess.width) * across, width),
  };
}

function letterbox(picture: { height: number; width: number }, preprocess: Preprocess) {
  const scale = Math.min(preprocess.height / picture.height, preprocess.width / picture.width);
  const rows = Math.min(preprocess.height, Math.max(1, round(picture.height * scale)));
  const columns = Math.min(preprocess.width, Math.max(1, round(picture.width * scale)));
  const top = Math.floor((preprocess.height - rows) / 2);
  const left = Math.floor((preprocess.width - columns) / 2);
  return { top, left, rows, columns };
}

/** To the nearest whole number, halves to the even one: Python's `round`. */
export function round(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
