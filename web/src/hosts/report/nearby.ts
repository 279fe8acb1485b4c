/** Answers that follow from others that are stored: some layers of a snapshot, some images of a set of maps. */

import { type Answer, canonical, isArray, type NdArray, unpack, type Value } from "../../protocol/wire.ts";
import type { Answerer } from "./answering.ts";
import type { Stored } from "./stored.ts";

async function opened(stored: Stored, key: string): Promise<Answer> {
  const { answer, buffers } = await stored.answer(key);
  return unpack(answer, buffers) as Answer;
}

/** The graph is one for every picture: all have the size that the network takes. */
export function graphs(stored: Stored): Answerer {
  return (question) => (question === "graph" && stored.has("graph {}") ? opened(stored, "graph {}") : null);
}

/** The pictures of a cell of the confusion matrix: as many as are carried. */
export function galleries(stored: Stored): Answerer {
  return (question, { split, true: truth, predicted, start }) => {
    const key = `gallery ${canonical({ split, true: truth, predicted })}`;
    return question === "gallery" && !start && stored.has(key) ? opened(stored, key) : null;
  };
}

/** Parts of whole snapshots. */
export function snapshots(stored: Stored): Answerer {
  return (question, { step, layers, images, channels }) => {
    const key = `snapshot ${canonical({ step })}`;
    if (question !== "snapshot" || !stored.has(key)) return null;
    return opened(stored, key).then((whole) => {
      const all = whole.layers as Record<string, Answer>;
      const names = ((layers as string[] | undefined) ?? Object.keys(all)).filter((name) => name in all);
      if (!names.length && layers) throw new Error(`this report carries no snapshots of ${String(layers)}`);
      const rows = (images as number[] | undefined) ?? [...(whole.images as NdArray).data];
      const kept = names.map((name) => [name, cut(all[name] as Answer, rows, channels as number[] | undefined)]);
      return { ...rowsOf(rowsOf(whole, rows, "images"), rows, "probabilities"), layers: Object.fromEntries(kept) } as Answer;
    });
  };
}

function cut(layer: Answer, rows: readonly number[], channels: number[] | undefined): Answer {
  return channelsOf(rowsOf(layer, rows, "values"), channels);
}

/** Some channels of a layer; those that are not carried are left out. */
function channelsOf(layer: Answer, wanted: number[] | undefined): Answer {
  if (!wanted) return layer;
  const held = layer.channels as NdArray;
  const places = [...held.data].flatMap((channel, place) => (wanted.includes(channel) ? [place] : []));
  const values = layer.values as NdArray;
  const [images = 0, channels = 0, ...rest] = values.shape;
  const flat = { ...values, shape: [images * channels, ...rest] };
  const rows = Array.from({ length: images }, (_, image) => places.map((place) => image * channels + place)).flat();
  return { ...layer, values: { ...taken(flat, rows), shape: [images, places.length, ...rest] }, channels: taken(held, places) };
}

/**
 * Answers about some pictures of a group from what is stored of all of them: maps of methods, and what the network says.
 *
 * @param count how many pictures of the probe are stored
 */
export function ofProbe(stored: Stored, count: number): Answerer {
  return (question, { images, ...rest }) => {
    const key = `${question} ${canonical({ images: "probe", ...given(rest) })}`;
    if (!Array.isArray(images) || !stored.has(key)) return null;
    const rows = images.map((id) => (/^probe\/\d+$/.test(String(id)) ? Number(String(id).slice(6)) : count));
    if (rows.some((row) => row >= count)) return null;
    return opened(stored, key).then((whole) => rowsAmong(whole, rows, count) as Answer);
  };
}

/** The arguments that ask for something of their own. */
const given = (args: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(args).filter(([, value]) => value !== null && value !== undefined));

/** Everything in an answer that has an entry per picture, for some of them. */
function rowsAmong(value: Value, rows: readonly number[], count: number): Value {
  if (isArray(value)) return value.shape[0] === count ? taken(value, rows) : value;
  if (Array.isArray(value)) {
    const texts = value.length === count && value.every((item) => typeof item === "string");
    return texts ? rows.map((row) => value[row] ?? "") : value.map((item) => rowsAmong(item, rows, count));
  }
  if (typeof value !== "object" || value === null || "bytes" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rowsAmong(item, rows, count)]));
}

function rowsOf(answer: Answer, rows: readonly number[], key: string): Answer {
  return { ...answer, [key]: taken(answer[key] as NdArray, rows) };
}

/** Some rows of an array, along its first axis. */
export function taken(array: NdArray, rows: readonly number[]): NdArray {
  const [, ...rest] = array.shape;
  const size = rest.reduce((all, length) => all * length, 1);
  const data = new (array.data.constructor as new (length: number) => typeof array.data)(rows.length * size);
  rows.forEach((row, place) => data.set(array.data.subarray(row * size, (row + 1) * size), place * size));
  return { ...array, shape: [rows.length, ...rest], data };
}
