import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pause, type Socket, socket } from "../../../src/hosts/studio/socket.ts";
import { decode, encode } from "../../../src/protocol/frames.ts";

class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  binaryType = "";
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(message: Uint8Array<ArrayBuffer>): void {
    this.sent.push(decode(message.slice().buffer).content);
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  hear(content: object): void {
    this.onmessage?.({ data: encode(content).buffer });
  }
  drop(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
  close(): void {
    this.drop(1000);
  }
}

const newest = (): FakeSocket => FakeSocket.all[FakeSocket.all.length - 1] as FakeSocket;
let heard: Record<string, unknown>[];
let lines: string[];
let own: Uint8Array<ArrayBuffer>[];
let line: Socket;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  FakeSocket.all = [];
  heard = [];
  lines = [];
  own = [];
  line = socket({ url: "ws://here/ws", own, heard: (content) => heard.push(content), line: (now, why) => lines.push(`${now}${why && `: ${why}`}`) });
});
afterEach(() => {
  line.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const ask = (id: string, question = "maps"): void => line.send({ kind: "ask", id, question, args: {} }, []);
const asked = (): unknown[] => newest().sent.map(({ id }) => id);

test("what is asked before the line is open is asked when it is", () => {
  ask("1");
  expect(newest().sent).toEqual([]);
  newest().open();
  expect(asked()).toEqual(["1"]);
  expect(lines).toEqual(["opening", "open"]);
});

test("after a break, questions without an answer are asked again, and what was asked may have changed", () => {
  newest().open();
  ask("answered");
  ask("open", "trace");
  ask("failed");
  ask("cancelled");
  newest().hear({ kind: "answer", id: "answered", answer: {} });
  newest().hear({ kind: "progress", id: "open", done: 1, total: 2, what: "" });
  newest().hear({ kind: "error", id: "failed", message: "no" });
  line.send({ kind: "cancel", id: "cancelled" }, []);
  newest().drop();
  expect(lines.at(-1)).toBe("lost");
  vi.runOnlyPendingTimers();
  newest().open();
  expect(FakeSocket.all).toHaveLength(2);
  expect(asked()).toEqual(["open"]);
  expect(heard.at(-1)).toEqual({ kind: "changed", questions: ["maps", "trace"] });
});

test("pictures of a person's own are told again before what asks about them, once", () => {
  newest().open();
  ask("drawn", "put");
  newest().hear({ kind: "answer", id: "drawn", answer: {} });
  ask("late", "put");
  ask("about it");
  newest().drop();
  vi.runOnlyPendingTimers();
  newest().open();
  expect(asked()).toEqual(["drawn", "late", "about it"]);
});

test("only the latest pictures are kept", () => {
  newest().open();
  for (let count = 0; count < 12; count++) ask(String(count), "put");
  expect(own).toHaveLength(8);
});

test("pauses grow and end", () => {
  const pauses = Array.from({ length: 12 }, (_, tries) => pause(tries));
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(180);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(5000);
  expect(pause(0)).toBeLessThan(pause(3));
  for (let tries = 0; tries < 5; tries++) {
    newest().drop();
    vi.runOnlyPendingTimers();
  }
  expect(FakeSocket.all).toHaveLength(6);
});

test("a server that has no such subject is not asked again by itself", () => {
  newest().open();
  newest().hear({ kind: "error", id: null, message: "not here any more" });
  newest().drop(4404);
  vi.runOnlyPendingTimers();
  expect(FakeSocket.all).toHaveLength(1);
  expect(lines.at(-1)).toBe("gone: not here any more");
  line.retry();
  expect(FakeSocket.all).toHaveLength(2);
});

test("closing is for good", () => {
  newest().open();
  line.close();
  vi.runAllTimers();
  expect(FakeSocket.all).toHaveLength(1);
  expect(lines.at(-1)).toBe("open");
});
