/** WebSocket messages: header length, header with the buffers' lengths, buffers at multiples of 8 bytes. */

const ALIGNMENT = 8;

export interface Message {
  content: Record<string, unknown>;
  buffers: DataView[];
}

const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

export function encode(content: object, buffers: ArrayBufferView[] = []): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode(JSON.stringify({ ...content, buffers: buffers.map((item) => item.byteLength) }));
  const starts: number[] = [];
  let end = 4 + header.length;
  for (const item of buffers) {
    starts.push(aligned(end));
    end = aligned(end) + item.byteLength;
  }
  const message = new Uint8Array(end);
  new DataView(message.buffer).setUint32(0, header.length, true);
  message.set(header, 4);
  buffers.forEach((item, index) => {
    message.set(new Uint8Array(item.buffer, item.byteOffset, item.byteLength), starts[index] ?? 0);
  });
  return message;
}

export function decode(message: ArrayBuffer): Message {
  const length = new DataView(message).getUint32(0, true);
  const { buffers: lengths, ...content } = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
  const buffers: DataView[] = [];
  let end = 4 + length;
  for (const size of lengths as number[]) {
    buffers.push(new DataView(message, aligned(end), size));
    end = aligned(end) + size;
  }
  return { content, buffers };
}
