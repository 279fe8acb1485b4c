/** 8-bit pictures in row-major order, channels last, and their modes: the twin of `opsin.data.samples`. */

export interface Pixels {
  readonly height: number;
  readonly width: number;
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. */
  readonly channels: number;
  readonly data: Uint8Array;
}

export type Mode = "L" | "LA" | "RGB" | "RGBA";

export const CHANNELS: Readonly<Record<Mode, number>> = { L: 1, LA: 2, RGB: 3, RGBA: 4 };

export function blank(height: number, width: number, channels: number): Pixels {
  return { height, width, channels, data: new Uint8Array(height * width * channels) };
}

/** A picture in another mode. Alpha that it lacks is laid on white; grey of colour is ITU-R BT.601 luma. */
export function inMode(picture: Pixels, mode: Mode): Pixels {
  const wanted = CHANNELS[mode];
  const keepsAlpha = wanted % 2 === 0;
  const source = picture.channels % 2 === 0 && !keepsAlpha ? onWhite(picture) : picture;
  if (source.channels === wanted) return source;
  const out = blank(source.height, source.width, wanted);
  const opaque = keepsAlpha ? wanted - 1 : wanted;
  const hasAlpha = source.channels % 2 === 0;
  for (let pixel = 0; pixel < source.height * source.width; pixel++) {
    const [from, to] = [pixel * source.channels, pixel * wanted];
    const coloured = source.channels >= 3;
    for (let c = 0; c < opaque; c++) {
      out.data[to + c] = coloured && opaque === 1 ? luma(source.data, from) : source.data[from + (coloured ? c : 0)]!;
    }
    if (keepsAlpha) out.data[to + opaque] = hasAlpha ? source.data[from + source.channels - 1]! : 255;
  }
  return out;
}

/** 0.299 red + 0.587 green + 0.114 blue in 16-bit fixed point, rounded, as Pillow has it. */
function luma(data: Uint8Array, at: number): number {
  return (data[at]! * 19595 + data[at + 1]! * 38470 + data[at + 2]! * 7471 + 0x8000) >> 16;
}

function onWhite(picture: Pixels): Pixels {
  const opaque = picture.channels - 1;
  const out = blank(picture.height, picture.width, opaque);
  for (let pixel = 0; pixel < picture.height * picture.width; pixel++) {
    const alpha = picture.data[pixel * picture.channels + opaque]!;
    for (let c = 0; c < opaque; c++) {
      const blend = picture.data[pixel * picture.channels + c]! * alpha + 255 * (255 - alpha);
      out.data[pixel * opaque + c] = Math.floor((blend + 127) / 255);
    }
  }
  return out;
}
