/** The line to the studio's server: it comes back by itself, and forgets no question that was not answered. */

import { decode, encode } from "../../protocol/frames.ts";

/** `gone`: the server said that it has no such subject (any more); it is not asked again by itself. */
export type Line = "opening" | "open" | "lost" | "gone";

export interface SocketOptions {
  url: string;
  heard: (content: Record<string, unknown>, buffers: DataView[]) => void;
  line: (line: Line, why: string) => void;
  /** Pictures that a person drew or dropped: told again to a server that has forgotten them. Shared between sockets. */
  own: Uint8Array<ArrayBuffer>[];
}

export interface Socket {
  send(content: Record<string, unknown>, buffers: ArrayBufferView[]): void;
  /** Try now, without waiting any longer. */
  retry(): void;
  close(): void;
}

const GONE = 4404;
const OWN_KEPT = 8;
const SHORTEST = 250;
const LONGEST = 5000;

/** Milliseconds before the next try: doubled each time, a little different in every page. */
export const pause = (tries: number): number =>
  Math.min(SHORTEST * 2 ** tries, LONGEST) * (0.75 + 0.25 * Math.random());

export function socket({ url, heard, line, own }: SocketOptions): Socket {
  const waiting = new Map<string, Uint8Array<ArrayBuffer>>();
  const asked = new Set<string>();
  let web: WebSocket | null = null;
  let tries = 0;
  let before = false;
  let closed = false;
  let why = "";
  let timer: ReturnType<typeof setTimeout> | undefined;

  const opened = (): void => {
    tries = 0;
    line("open", "");
    own.forEach((message) => web?.send(message));
    for (const message of waiting.values()) if (!own.includes(message)) web?.send(message);
    // what was told to a line that broke may have changed on the other end meanwhile
    if (before) heard({ kind: "changed", questions: [...asked] }, []);
    before = true;
  };
  const received = (event: MessageEvent<ArrayBuffer>): void => {
    const { content, buffers } = decode(event.data);
    if (content.kind === "error" && content.id === null) why = String(content.message);
    if (content.kind !== "progress") waiting.delete(String(content.id));
    heard(content, buffers);
  };
  const ended = (event: CloseEvent): void => {
    web = null;
    if (closed) return;
    if (event.code === GONE) {
      line("gone", why);
      return;
    }
    line("lost", why);
    timer = setTimeout(open, pause(tries++));
  };
  const open = (): void => {
    clearTimeout(timer);
    why = "";
    const mine = new WebSocket(url);
    web = mine;
    mine.binaryType = "arraybuffer";
    mine.onopen = opened;
    mine.onmessage = received;
    mine.onclose = (event) => mine === web && ended(event);
  };
  line("opening", "");
  open();
  return {
    send(content, buffers) {
      const message = encode(content, buffers);
      if (content.kind === "ask") {
        waiting.set(String(content.id), message);
        asked.add(String(content.question));
        if (content.question === "put") keep(own, message);
      } else {
        waiting.delete(String(content.id));
      }
      if (web?.readyState === WebSocket.OPEN) web.send(message);
    },
    retry() {
      if (web) return;
      tries = 0;
      line("opening", "");
      open();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      web?.close();
    },
  };
}

function keep(own: Uint8Array<ArrayBuffer>[], message: Uint8Array<ArrayBuffer>): void {
  own.push(message);
  if (own.length > OWN_KEPT) own.shift();
}
