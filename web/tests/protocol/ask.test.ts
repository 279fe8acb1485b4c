import { expect, test, vi } from "vitest";
import { AskError, asker } from "../../src/protocol/ask.ts";
import { fakeModel } from "./fake.ts";

test("a question is answered, and remembered", async () => {
  const model = fakeModel();
  const ask = asker(model);
  const first = ask("graph", { image: "a" });
  model.answer(model.sent[0]!.id, { nodes: 3 });
  expect(await first).toEqual({ nodes: 3 });
  expect(await ask("graph", { image: "a" })).toEqual({ nodes: 3 });
  expect(model.sent).toHaveLength(1);
  expect(ask.known("graph", { image: "b" })).toBeUndefined();
});

test("what changed is forgotten and told", async () => {
  const model = fakeModel();
  const ask = asker(model);
  const told = vi.fn();
  const stop = ask.onChanged("steps", told);
  const first = ask("steps");
  model.answer(model.sent[0]!.id, { count: 1 });
  await first;
  model.hear({ kind: "changed", questions: ["steps"] });
  expect(told).toHaveBeenCalledOnce();
  expect(ask.known("steps")).toBeUndefined();
  stop();
  model.hear({ kind: "changed", questions: ["steps"] });
  expect(told).toHaveBeenCalledOnce();
});

test("an error says whether a live model is missing", async () => {
  const model = fakeModel();
  const ask = asker(model);
  const asked = ask("dream", {});
  model.hear({ kind: "error", id: model.sent[0]!.id, message: "no network here", live: true });
  const error = await asked.catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(AskError);
  expect((error as AskError).live).toBe(true);
});

test("a cancelled question tells the host and is over", async () => {
  const model = fakeModel();
  const ask = asker(model);
  const controller = new AbortController();
  const asked = ask("dream", {}, { signal: controller.signal });
  controller.abort();
  await expect(asked).rejects.toThrow("cancelled");
  expect(model.sent[1]).toEqual({ kind: "cancel", id: model.sent[0]!.id });
  model.answer(model.sent[0]!.id, { late: 1 });
  expect(ask.known("dream", {})).toBeUndefined();
});

test("progress reaches who asked", async () => {
  const model = fakeModel();
  const ask = asker(model);
  const progress = vi.fn();
  const asked = ask("check", {}, { progress });
  model.hear({ kind: "progress", id: model.sent[0]!.id, done: 1, total: 4, what: "deletion" });
  expect(progress).toHaveBeenCalledWith(expect.objectContaining({ done: 1, total: 4, what: "deletion" }));
  model.answer(model.sent[0]!.id, {});
  await asked;
});
