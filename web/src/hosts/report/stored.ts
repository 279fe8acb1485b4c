/** Answers that a report carries: chunks of gzip in base64, each read when one of its answers is first wanted. */

import { decode, type Message } from "../../protocol/frames.ts";

/** What the page says of a chunk: the element that holds it, and the questions whose answers it has. */
export interface ChunkEntry {
  id: string;
  keys: string[];
}

/** An answer as a model's message has it. */
export interface StoredAnswer {
  answer: unknown;
  buffers: DataView[];
}

export interface Stored {
  has(key: string): boolean;
  /** Raises where the chunk cannot be read: a damaged file. */
  answer(key: string): Promise<StoredAnswer>;
}

/** `document` names its buffers from 0; they are `count` of the chunk's, from `first` on. */
interface Place {
  document: unknown;
  first: number;
  count: number;
}

/**
 * @param entries the chunks
 * @param read the text of a chunk's element
 */
export function stored(entries: readonly ChunkEntry[], read: (id: string) => string): Stored {
  const chunks = new Map(entries.flatMap((entry) => entry.keys.map((key) => [key, entry.id] as const)));
  const opened = new Map<string, Promise<Message>>();
  const open = (id: string): Promise<Message> => {
    const found = opened.get(id) ?? inflated(read(id)).then(decode);
    opened.set(id, found);
    return found;
  };
  return {
    has: (key) => chunks.has(key),
    async answer(key) {
      const { content, buffers } = await open(chunks.get(key) ?? "");
      const place = (content.answers as Record<string, Place>)[key];
      if (!place) throw new Error(`this report names an answer that it does not hold: ${key}`);
      return { answer: place.document, buffers: buffers.slice(place.first, place.first + place.count) };
    },
  };
}

/** The bytes of gzip in base64. */
export async function inflated(text: string): Promise<ArrayBuffer> {
  const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
