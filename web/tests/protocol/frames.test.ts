import { expect, test } from "vitest";
import { decode, encode } from "../../src/protocol/frames.ts";

test("a message comes back, its buffers at multiples of eight", () => {
  const message = encode({ kind: "answer", id: "中" }, [new Uint8Array([1, 2, 3]), new Float32Array([0.5])]);
  const { content, buffers } = decode(message.buffer);
  expect(content).toEqual({ kind: "answer", id: "中" });
  expect(buffers.map((item) => item.byteOffset % 8)).toEqual([0, 0]);
  expect(new Uint8Array(buffers[0]!.buffer, buffers[0]!.byteOffset, 3)).toEqual(new Uint8Array([1, 2, 3]));
  expect(buffers[1]!.getFloat32(0, true)).toBe(0.5);
});
