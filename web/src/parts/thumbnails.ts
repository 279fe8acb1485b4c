/** Small pictures by their ids, kept as they are shown again and again. */

import { photograph } from "../drawing/maps.ts";
import type { Asker } from "../protocol/ask.ts";
import type { NdArray } from "../protocol/wire.ts";

export interface Thumbnails {
  ids: string[];
  names: string[];
  labels: NdArray<Int32Array>;
  sizes: NdArray<Int32Array>;
  grey: boolean;
  pixels: NdArray<Uint8Array>;
}

export interface Thumbnail {
  name: string;
  label: number;
  /** uint8 (h, w, 3), or (h, w, 1) where it is grey. */
  picture: NdArray<Uint8Array>;
}

/** The pictures of an answer, one by one. */
export function separate(answer: Thumbnails): Thumbnail[] {
  const channels = answer.grey ? 1 : 3;
  let start = 0;
  return answer.ids.map((_, index) => {
    const rows = answer.sizes.data[2 * index] ?? 0;
    const columns = answer.sizes.data[2 * index + 1] ?? 0;
    const data = answer.pixels.data.subarray(start, (start += rows * columns * channels));
    return {
      name: answer.names[index] ?? "",
      label: answer.labels.data[index] ?? -1,
      picture: { dtype: "uint8", shape: [rows, columns, channels], data },
    };
  });
}

/** The picture on a canvas of its own size, ready to be drawn on another. */
export function sprite(thumbnail: Thumbnail): HTMLCanvasElement {
  const [rows = 1, columns = 1] = thumbnail.picture.shape;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d")?.putImageData(new ImageData(photograph(thumbnail.picture), columns, rows), 0, 0);
  return canvas;
}

export interface Store<P> {
  /** The picture, where it is there already. */
  get(id: string): P | undefined;
  /** Ask for those that are not there yet. */
  want(ids: readonly string[]): void;
  /** Nothing that was asked before is waited for any more. */
  close(): void;
}

const AT_A_TIME = 128;
const KEPT = 4000;

/** Pictures as they arrive; `arrived` is told of it. One question is on its way at a time: the newest wishes first. */
export function store<P>(ask: Asker, side: number, make: (thumbnail: Thumbnail) => P, arrived: () => void): Store<P> {
  const kept = new Map<string, P>();
  const refused = new Set<string>();
  let wishes: string[] = [];
  let asking = false;
  let closed = false;

  const next = async (): Promise<void> => {
    const ids = wishes.filter((id) => id && !kept.has(id) && !refused.has(id)).slice(0, AT_A_TIME);
    if (asking || closed || !ids.length) return;
    asking = true;
    try {
      const answer = await ask<Thumbnails>("thumbnails", { ids, side });
      separate(answer).forEach((thumbnail, index) => kept.set(ids[index] ?? "", make(thumbnail)));
      for (const oldest of kept.keys()) {
        if (kept.size <= KEPT) break;
        kept.delete(oldest);
      }
    } catch {
      // a picture that cannot be opened is not asked for again; the point or its number stays
      for (const id of ids) refused.add(id);
    }
    asking = false;
    if (closed) return;
    arrived();
    void next();
  };
  return {
    get: (id) => kept.get(id),
    want(ids) {
      wishes = [...ids];
      void next();
    },
    close: () => (closed = true),
  };
}
