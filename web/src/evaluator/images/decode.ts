/** A dropped file as pixels, by the browser's own decoders. */

import type { Pixels } from "./pixels.ts";

export type Decode = (file: Uint8Array, name: string) => Promise<Pixels>;

const LONGEST = 2048;

/** RGBA, upright as its EXIF data say, its longer side at most 2048 pixels. */
export async function decodeFile(file: Uint8Array, name: string): Promise<Pixels> {
  const bitmap = await open(file, name);
  const share = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * share))) as [
    number,
    number,
  ];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser gives no canvas to decode with");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  return { height, width, channels: 4, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

async function open(file: Uint8Array, name: string): Promise<ImageBitmap> {
  try {
    // colours as the file holds them: Python does not convert them either
    return await createImageBitmap(new Blob([file as BlobPart]), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new Error(`${name || "the file"} cannot be read as an image by this browser`);
  }
}
