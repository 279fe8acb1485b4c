/** Who answers in a report: what is stored, the pictures that it carries, and for small networks the browser itself. */

import type { Store } from "../store.ts";
import { type Answer, canonical, pack, unpack } from "../../protocol/wire.ts";
import type { Stored } from "./stored.ts";

/** Answers a question, or says by null that it is not for it. */
export type Answerer = (question: string, args: Record<string, unknown>) => Promise<Answer | null> | null;

export interface Sources {
  stored: Stored;
  /** Asked in this order where nothing is stored. */
  answerers: Answerer[];
}

/** Answer what a view sends; the answer comes to the model as from any other host. */
export async function reply(
  model: Pick<Store, "hear">,
  { stored, answerers }: Sources,
  content: Record<string, unknown>,
  buffers: ArrayBufferView[],
): Promise<void> {
  if (content.kind !== "ask") return;
  const { id } = content;
  const question = String(content.question);
  try {
    const key = `${question} ${canonical(content.args)}`;
    if (stored.has(key)) {
      const { answer, buffers: found } = await stored.answer(key);
      model.hear({ kind: "answer", id, answer }, found);
      return;
    }
    const args = unpack(content.args, buffers) as Record<string, unknown>;
    for (const answerer of answerers) {
      const answer = await answerer(question, args);
      if (answer === null) continue;
      const packed = pack(answer);
      const views = packed.buffers.map((item) => new DataView(item.buffer, item.byteOffset, item.byteLength));
      model.hear({ kind: "answer", id, answer: packed.document }, views);
      return;
    }
    model.hear({ kind: "error", id, message: `this report holds no answer to ${question}`, live: true });
  } catch (error) {
    model.hear({ kind: "error", id, message: String((error as Error).message) });
  }
}
