/** What a report carries of its network, the pictures that can be looked at, and the last pass through the network. */

import type { NdArray } from "../protocol/wire.ts";
import { type Move, moved } from "./images/moving.ts";
import type { Pixels } from "./images/pixels.ts";
import { geometry, normalise, type Preprocess, seen } from "./images/preprocess.ts";
import { type Network, type Node, run, type Values } from "./run.ts";
import type { Tensor } from "./tensor.ts";

/** As `opsin.reporting.views.offline.offline` gives it. */
export interface Offline extends Network {
  readonly weights: Readonly<Record<string, NdArray<Float32Array>>>;
  readonly preprocess: Preprocess;
  readonly classes: readonly string[];
  readonly pictures: readonly CarriedPicture[];
}

interface CarriedPicture {
  readonly id: string;
  readonly name: string;
  readonly label: number | null;
  readonly prepared: boolean;
  readonly pixels: NdArray<Uint8Array>;
}

/** One picture. `prepared`: it is a network's input already, in size and channels. */
export interface Seen {
  readonly id: string;
  readonly name: string;
  readonly label: number | null;
  readonly prepared: boolean;
  readonly pixels: Pixels;
}

/** A picture as the network gets it. */
export interface Given {
  readonly tensor: Tensor;
  readonly pixels: Pixels;
  /** Top, left, bottom, right of the unmoved input in the picture's pixels. */
  readonly geometry: readonly [number, number, number, number];
}

export interface Subject {
  readonly offline: Offline;
  /** A picture, or undefined where the report carries none of this id. */
  picture(id: string): Seen | undefined;
  put(pixels: Pixels, name: string): Seen;
  given(picture: Seen, move: Move): Given;
  /** Every node's values; those of the last picture are kept. */
  values(picture: Seen, move: Move): Values;
  node(name: string): Node;
}

const OWN_KEPT = 64;

export function subjectOf(offline: Offline): Subject {
  const pictures = new Map(offline.pictures.map((picture) => [picture.id, carried(picture)]));
  const own = new Map<string, Seen>();
  let last: { key: string; values: Values } | undefined;
  const given = (picture: Seen, move: Move): Given => givenOf(picture, offline.preprocess, move);
  return {
    offline,
    given,
    picture: (id) => pictures.get(id) ?? own.get(id),
    put(pixels, name) {
      const picture: Seen = { id: `own/${digest(pixels)}`, name, label: null, prepared: false, pixels };
      own.delete(picture.id);
      own.set(picture.id, picture);
      for (const oldest of own.keys()) {
        if (own.size <= OWN_KEPT) break;
        own.delete(oldest);
      }
      return picture;
    },
    values(picture, move) {
      const key = JSON.stringify([picture.id, move.shift, move.rotate, move.scale]);
      if (last?.key !== key) last = { key, values: run(offline, given(picture, move).tensor) };
      return last.values;
    },
    node(name) {
      // a module's name stands for the last node that it made, as in the graph's record
      const inside = offline.nodes.filter((node) => `${node.module}.`.startsWith(`${name}.`));
      const found = offline.nodes.find((node) => node.name === name) ?? (name === "" ? undefined : inside.at(-1));
      if (found === undefined) throw new Error(`there is no layer ${name}`);
      return found;
    },
  };
}

function carried({ id, name, label, prepared, pixels }: CarriedPicture): Seen {
  return { id, name, label, prepared, pixels: pixelsOf(pixels) };
}

/** An array (h, w) or (h, w, c) as a picture. */
export function pixelsOf({ shape, data }: NdArray<Uint8Array>): Pixels {
  const [height, width, channels = 1] = shape;
  const isPicture =
    data instanceof Uint8Array && height !== undefined && width !== undefined && channels >= 1 && channels <= 4;
  if (!isPicture || data.length === 0 || shape.length > 3) {
    throw new Error(`pixels of shape (${shape.join(", ")}) were given; expected uint8 (h, w, 1..4)`);
  }
  return { height, width, channels, data };
}

function givenOf(picture: Seen, preprocess: Preprocess, move: Move): Given {
  const box = picture.prepared
    ? { top: 0, left: 0, bottom: picture.pixels.height, right: picture.pixels.width }
    : geometry(picture.pixels, preprocess);
  const pixels = moved(picture.prepared ? picture.pixels : seen(picture.pixels, preprocess), move);
  return { tensor: normalise(pixels, preprocess), pixels, geometry: [box.top, box.left, box.bottom, box.right] };
}

/** A name for pixels: 53 bits of two multiplicative hashes. */
function digest({ height, width, channels, data }: Pixels): string {
  let [a, b] = [0xdeadbeef ^ height, 0x41c6ce57 ^ (width * 8 + channels)];
  for (const value of data) {
    a = Math.imul(a ^ value, 2654435761);
    b = Math.imul(b ^ value, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16).padStart(14, "0");
}
