/** The pictures that a report carries, small: they answer `thumbnails` and `images` for any of them. */

import { array, type Answer, type NdArray, type Picture, unpack } from "../../protocol/wire.ts";
import type { Answerer } from "./answering.ts";
import type { Stored } from "./stored.ts";

/** Under this key the pictures are stored. They lie in one sheet, each in its cell, from the upper left. */
export const PICTURES = "pictures {}";

interface Sheet {
  ids: string[];
  names: string[];
  labels: NdArray<Int32Array>;
  sizes: NdArray<Int32Array>;
  grey: boolean;
  columns: number;
  side: number;
  sheet: Picture;
}

/** The sheet's pixels, RGBA. */
export type Decode = (picture: Picture) => Promise<ImageData>;

export function pictures(stored: Stored, groups: Record<string, number>, decode: Decode = decoded): Answerer {
  let opened: Promise<{ sheet: Sheet; pixels: ImageData; places: Map<string, number> }> | undefined;
  const open = () =>
    (opened ??= stored.answer(PICTURES).then(async ({ answer, buffers }) => {
      const sheet = unpack(answer, buffers) as unknown as Sheet;
      return { sheet, pixels: await decode(sheet.sheet), places: new Map(sheet.ids.map((id, at) => [id, at])) };
    }));
  const some = async (ids: string[], side: number): Promise<Answer> => {
    const { sheet, pixels, places } = await open();
    const at = ids.map((id) => places.get(id));
    const missing = ids.find((_, position) => at[position] === undefined);
    if (missing !== undefined) throw new Error(`this report does not carry the picture ${missing}`);
    return gathered(sheet, pixels, at as number[], ids, side);
  };
  return (question, args) => {
    if (!stored.has(PICTURES)) return null;
    const side = Number(args.side ?? 64);
    if (question === "thumbnails") return some(args.ids as string[], side);
    if (question !== "images") return null;
    const group = String(args.group);
    const start = Number(args.start ?? 0);
    return open().then(async ({ places }) => {
      const total = groups[group] ?? 0;
      // a report carries the first of a group, or those that its views show
      const ids: string[] = [];
      for (let at = start; at < Math.min(start + Number(args.count ?? 64), total); at++) {
        if (places.has(`${group}/${at}`)) ids.push(`${group}/${at}`);
      }
      return { total, ...(await some(ids, side)) };
    });
  };
}

function gathered(sheet: Sheet, pixels: ImageData, at: number[], ids: string[], side: number): Answer {
  const channels = sheet.grey ? 1 : 3;
  const drawn = at.map((place) => cut(sheet, pixels, place, side));
  const flat = new Uint8Array(drawn.reduce((sum, one) => sum + one.height * one.width * channels, 0));
  let end = 0;
  for (const one of drawn) {
    for (let i = 0; i < one.height * one.width; i++) for (let c = 0; c < channels; c++) flat[end++] = one.data[4 * i + c] ?? 0;
  }
  return {
    ids,
    names: at.map((place) => sheet.names[place] ?? ""),
    labels: array(Int32Array.from(at, (place) => sheet.labels.data[place] ?? -1)),
    sizes: array(Int32Array.from(drawn.flatMap((one) => [one.height, one.width])), [at.length, 2]),
    grey: sheet.grey,
    pixels: array(flat),
  };
}

interface Cut {
  height: number;
  width: number;
  data: Uint8ClampedArray;
}

/** One picture of the sheet; larger ones than asked for are shrunk by means over whole pixels. */
function cut(sheet: Sheet, pixels: ImageData, place: number, side: number): Cut {
  const height = sheet.sizes.data[2 * place] ?? 0;
  const width = sheet.sizes.data[2 * place + 1] ?? 0;
  const top = Math.floor(place / sheet.columns) * sheet.side;
  const left = (place % sheet.columns) * sheet.side;
  const step = Math.max(1, Math.ceil(Math.max(height, width) / side));
  const found: Cut = { height: Math.ceil(height / step), width: Math.ceil(width / step), data: new Uint8ClampedArray(0) };
  found.data = new Uint8ClampedArray(4 * found.height * found.width);
  for (let row = 0; row < found.height; row++) {
    for (let column = 0; column < found.width; column++) {
      const rows = Math.min(step, height - row * step);
      const columns = Math.min(step, width - column * step);
      for (let c = 0; c < 4; c++) {
        let sum = 0;
        for (let y = 0; y < rows; y++) {
          for (let x = 0; x < columns; x++) {
            sum += pixels.data[4 * ((top + row * step + y) * pixels.width + left + column * step + x) + c] ?? 0;
          }
        }
        found.data[4 * (row * found.width + column) + c] = Math.round(sum / (rows * columns));
      }
    }
  }
  return found;
}

async function decoded(picture: Picture): Promise<ImageData> {
  const image = await createImageBitmap(new Blob([picture.bytes as Uint8Array<ArrayBuffer>], { type: picture.type }));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  if (!drawing) throw new Error("this browser draws no pictures");
  drawing.drawImage(image, 0, 0);
  return drawing.getImageData(0, 0, image.width, image.height);
}
