import { expect, test } from "vitest";
import { array, canonical, pack, unpack } from "../../src/protocol/wire.ts";

test("a packed value comes back as it was", () => {
  const value = {
    maps: array(new Float32Array([1, 2, 3, 4.5, 5, 6]), [2, 3]),
    many: [array(new Uint8Array([7])), { deep: array(new Int32Array([-1, 2])) }],
    shown: { type: "image/png", bytes: new Uint8Array([137, 80]) },
    text: "<script>",
    nothing: null,
  };
  const { document, buffers } = pack(value);
  expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  expect(unpack(document, buffers)).toEqual(value);
});

test("numbers at an odd offset are read", () => {
  const whole = new Uint8Array(9);
  whole.set(new Uint8Array(new Float32Array([1.5, -2]).buffer), 1);
  const read = unpack({ $array: 0, dtype: "float32", shape: [2] }, [new DataView(whole.buffer, 1, 8)]);
  expect(read).toEqual(array(new Float32Array([1.5, -2])));
});

test("a buffer that is not there is an error", () => {
  expect(() => unpack({ $array: 1, dtype: "uint8", shape: [1] }, [])).toThrow("names buffer 1 of 0");
});

test("questions that mean the same have one text", () => {
  expect(canonical({ b: 1, a: [1, { d: 2, c: undefined }] })).toBe('{"a":[1,{"d":2}],"b":1}');
  expect(canonical({ a: [1, { d: 2 }], b: 1 })).toBe(canonical({ b: 1, a: [1, { d: 2 }] }));
});
