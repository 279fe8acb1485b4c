/// <reference types="node" />
/** What a Python test wrote for the parity tests: one WebSocket message per file, as the hosts exchange them. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decode } from "../../src/protocol/frames.ts";
import { unpack } from "../../src/protocol/wire.ts";

const folder = process.env.OPSIN_FIXTURES;

/** Names of the fixtures of one kind; none where no Python test started this one. */
export function fixtures(kind: string): string[] {
  if (folder === undefined) return [];
  const names = readdirSync(folder).filter((name) => name.startsWith(`${kind}-`));
  return names.map((name) => name.replace(/\.bin$/, "")).sort();
}

export function fixture<F>(name: string): F {
  const bytes = readFileSync(join(folder!, `${name}.bin`));
  const message = decode(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
  return unpack(message.content.document, message.buffers) as F;
}
