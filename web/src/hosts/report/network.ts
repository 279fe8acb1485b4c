/** The network that a small model's report carries: the browser runs it by itself. */

import { answerer, type Answerer as Evaluator } from "../../evaluator/answers.ts";
import type { Offline } from "../../evaluator/subject.ts";
import { unpack } from "../../protocol/wire.ts";
import type { Answerer } from "./answering.ts";
import type { Stored } from "./stored.ts";

/** Under this key a report carries it. */
export const NETWORK = "offline {}";

const QUESTIONS = new Set(["put", "input", "maps", "trace", "fields", "response"]);

export function network(stored: Stored): Answerer {
  let opened: Promise<Evaluator> | undefined;
  const open = async (): Promise<Evaluator> => {
    const { answer, buffers } = await stored.answer(NETWORK);
    return answerer(unpack(answer, buffers) as unknown as Offline);
  };
  return (question, args) => {
    if (!QUESTIONS.has(question) || !stored.has(NETWORK)) return null;
    opened ??= open();
    return opened.then((evaluator) => evaluator(question, args));
  };
}
