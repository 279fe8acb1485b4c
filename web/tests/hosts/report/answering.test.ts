// @vitest-environment node
// (jsdom has no streams)
import { gzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { type Answerer, reply } from "../../../src/hosts/report/answering.ts";
import { galleries, graphs, ofProbe, snapshots, taken } from "../../../src/hosts/report/nearby.ts";
import { pictures } from "../../../src/hosts/report/pictures.ts";
import { inflated, stored } from "../../../src/hosts/report/stored.ts";
import { encode } from "../../../src/protocol/frames.ts";
import { type Answer, array, canonical, type NdArray, pack, unpack } from "../../../src/protocol/wire.ts";

type Kept = [question: string, args: object, answer: unknown];

/** As `opsin.reporting.views.stored` writes a chunk. */
function chunkOf(kept: Kept[]): string {
  const buffers: Uint8Array[] = [];
  const answers: Record<string, unknown> = {};
  for (const [question, args, answer] of kept) {
    const packed = pack(answer);
    answers[`${question} ${canonical(args)}`] = { document: packed.document, first: buffers.length, count: packed.buffers.length };
    buffers.push(...packed.buffers);
  }
  return gzipSync(encode({ answers }, buffers)).toString("base64");
}

function report(chunks: Record<string, Kept[]>) {
  const read = vi.fn((id: string) => chunkOf(chunks[id] as Kept[]));
  const entries = Object.entries(chunks).map(([id, kept]) => ({ id, keys: kept.map(([name, args]) => `${name} ${canonical(args)}`) }));
  return { kept: stored(entries, read), read };
}

/** What a view hears when it asks. */
async function heard(sources: Parameters<typeof reply>[1], question: string, args: object = {}): Promise<Record<string, unknown>> {
  const said: Record<string, unknown>[] = [];
  const model = { hear: (content: object, buffers: DataView[] = []) => void said.push({ ...content, buffers }) };
  const { document, buffers } = pack(args);
  await reply(model, sources, { kind: "ask", id: "1", question, args: document }, buffers);
  expect(said).toHaveLength(1);
  const [message] = said as [Record<string, unknown>];
  return message.kind === "answer" ? (unpack(message.answer, message.buffers as DataView[]) as Answer) : message;
}

describe("what is stored", () => {
  const numbers = array(Float32Array.of(1, 2, 3));
  const { kept, read } = report({
    one: [["subject", {}, { name: "n" }], ["maps", { image: "a", layers: ["x"] }, { first: numbers, second: array(Uint8Array.of(9)) }]],
    two: [["steps", {}, { loss: array(Float32Array.of(4)) }]],
  });
  const sources = { stored: kept, answerers: [] };

  test("is found whatever the order of the arguments, and its chunk is opened once", async () => {
    expect(await heard(sources, "maps", { layers: ["x"], image: "a" })).toEqual({ first: numbers, second: array(Uint8Array.of(9)) });
    expect(await heard(sources, "subject")).toEqual({ name: "n" });
    expect(read.mock.calls).toEqual([["one"]]);
    expect(await heard(sources, "steps")).toEqual({ loss: array(Float32Array.of(4)) });
    expect(read).toHaveBeenCalledTimes(2);
  });

  test("anything else needs a live model", async () => {
    expect(await heard(sources, "maps", { image: "b" })).toMatchObject({ kind: "error", id: "1", live: true });
  });

  test("a damaged chunk is an error and no wait without end", async () => {
    const broken = stored([{ id: "x", keys: ["subject {}"] }], () => "bm90IGd6aXA=");
    const answer = await heard({ stored: broken, answerers: [] }, "subject");
    expect(answer.kind).toBe("error");
    expect(answer.live).toBeUndefined();
  });

  test("whoever can answer is asked in turn, and a failure is told", async () => {
    const passes: Answerer = () => null;
    const later: Answerer = () => Promise.resolve(null);
    const answers: Answerer = (question) => Promise.resolve({ question });
    const fails: Answerer = () => Promise.reject(new Error("no such unit"));
    expect(await heard({ stored: kept, answerers: [passes, later, answers, fails] }, "trace")).toEqual({ question: "trace" });
    expect(await heard({ stored: kept, answerers: [fails] }, "trace")).toMatchObject({ kind: "error", message: "no such unit" });
  });

  test("inflating gives the bytes back", async () => {
    const bytes = Uint8Array.from({ length: 5000 }, (_, at) => at % 251);
    expect(new Uint8Array(await inflated(gzipSync(bytes).toString("base64")))).toEqual(bytes);
  });
});

describe("what lies near", () => {
  const layer = { values: array(Uint8Array.from({ length: 24 }, (_, at) => at), [2, 3, 2, 2]), low: 0, high: 1, channels: array(Int32Array.of(0, 4, 8)) };
  const whole = { step: 5, images: array(Int32Array.of(0, 1)), probabilities: array(Float32Array.of(0.1, 0.9, 0.7, 0.3), [2, 2]), layers: { conv: layer, fc: layer } };
  const { kept } = report({
    film: [["snapshot", { step: 5 }, whole]],
    graph: [["graph", {}, { nodes: [] }]],
    classes: [["gallery", { split: "test", true: 1, predicted: null }, { ids: ["test/1"] }]],
    why: [["why", { images: "probe", methods: ["cam"] }, { methods: [{ method: "cam", targets: array(Int32Array.of(7, 8, 9)), maps: { maps: array(Uint8Array.from({ length: 12 }, (_, at) => at), [3, 2, 2]), low: array(Float32Array.of(1, 2, 3)) } }] }],
          ["answers", { images: "probe" }, { names: ["a", "b", "c"], best: null }]],
  });
  const sources = { stored: kept, answerers: [graphs(kept), galleries(kept), snapshots(kept), ofProbe(kept, 3)] };

  test("one graph serves every picture", async () => expect(await heard(sources, "graph", { image: "own/1" })).toEqual({ nodes: [] }));

  test("a part of a snapshot is that part", async () => {
    const found = (await heard(sources, "snapshot", { step: 5, layers: ["conv"], images: [1], channels: [8, 2] })) as unknown as typeof whole;
    expect(Object.keys(found.layers)).toEqual(["conv"]);
    expect(found.layers.conv.values).toEqual(array(Uint8Array.of(20, 21, 22, 23), [1, 1, 2, 2]));
    expect(found.layers.conv.channels).toEqual(array(Int32Array.of(8)));
    expect(found.probabilities).toEqual(array(Float32Array.of(0.7, 0.3), [1, 2]));
    expect(found.images).toEqual(array(Int32Array.of(1)));
    expect(await heard(sources, "snapshot", { step: 5, layers: ["conv", "fc"] })).toEqual(whole);
    expect(await heard(sources, "snapshot", { step: 6 })).toMatchObject({ live: true });
    expect(await heard(sources, "snapshot", { step: 5, layers: ["gone"] })).toMatchObject({ kind: "error" });
  });

  test("maps of some pictures are those pictures' maps, in their order", async () => {
    const found = (await heard(sources, "why", { images: ["probe/2", "probe/0"], methods: ["cam"], target: null, layer: null, step: null })) as unknown as { methods: [{ targets: NdArray; maps: { maps: NdArray; low: NdArray } }] };
    expect(found.methods[0].targets.data).toEqual(Int32Array.of(9, 7));
    expect(found.methods[0].maps.maps).toEqual(array(Uint8Array.of(8, 9, 10, 11, 0, 1, 2, 3), [2, 2, 2]));
    expect(found.methods[0].maps.low.data).toEqual(Float32Array.of(3, 1));
    expect(await heard(sources, "answers", { images: ["probe/1"], step: null })).toEqual({ names: ["b"], best: null });
    for (const args of [{ images: ["probe/3"] }, { images: ["own/1"] }, { images: ["probe/0"], step: 4 }]) {
      expect(await heard(sources, "answers", args)).toMatchObject({ live: true });
    }
    expect(await heard(sources, "why", { images: ["probe/0"], methods: ["cam"], target: 3 })).toMatchObject({ live: true });
  });

  test("a cell's pictures are the first that are carried", async () => {
    const cell = { split: "test", true: 1, predicted: null };
    expect(await heard(sources, "gallery", { ...cell, count: 96 })).toEqual({ ids: ["test/1"] });
    expect(await heard(sources, "gallery", { ...cell, start: 48 })).toMatchObject({ live: true });
  });

  test("rows of an array are copied, not shared", () => {
    const rows = taken(array(Int32Array.of(1, 2, 3, 4), [2, 2]), [1, 1, 0]);
    expect(rows).toEqual(array(Int32Array.of(3, 4, 3, 4, 1, 2), [3, 2]));
  });
});

describe("pictures", () => {
  // three grey pictures of 2 x 2, 2 x 1 and 2 x 2 in cells of 2, two in a row
  const sheet = {
    ids: ["probe/0", "test/4", "probe/1"], names: ["zero", "four", "one"], labels: array(Int32Array.of(0, -1, 1)),
    sizes: array(Int32Array.of(2, 2, 2, 1, 2, 2), [3, 2]), grey: true, columns: 2, side: 2,
    sheet: { type: "image/png", bytes: Uint8Array.of(1) },
  };
  const shades = [[10, 20, 50, 0], [30, 40, 60, 0], [70, 80, 0, 0], [90, 100, 0, 0]];
  const decode = () => {
    const data = new Uint8ClampedArray(shades.flat().flatMap((shade) => [shade, shade, shade, 255]));
    return Promise.resolve({ width: 4, height: 4, data } as unknown as ImageData);
  };
  const { kept } = report({ pictures: [["pictures", {}, sheet]] });
  const sources = { stored: kept, answerers: [pictures(kept, { probe: 2, test: 9 }, decode)] };

  test("are cut out of the sheet by their ids", async () => {
    const found = await heard(sources, "thumbnails", { ids: ["probe/1", "test/4"], side: 64 });
    expect(found).toMatchObject({ ids: ["probe/1", "test/4"], names: ["one", "four"], grey: true });
    expect((found.pixels as NdArray).data).toEqual(Uint8Array.of(70, 80, 90, 100, 50, 60));
    expect((found.sizes as NdArray).data).toEqual(Int32Array.of(2, 2, 2, 1));
    expect((found.labels as NdArray).data).toEqual(Int32Array.of(1, -1));
  });

  test("are shrunk where less is asked for", async () => {
    const found = await heard(sources, "thumbnails", { ids: ["probe/0"], side: 1 });
    expect((found.pixels as NdArray).data).toEqual(Uint8Array.of(25));
  });

  test("of a group are those that are carried", async () => {
    const found = await heard(sources, "images", { group: "probe", start: 1, count: 5, side: 2 });
    expect(found).toMatchObject({ total: 2, ids: ["probe/1"] });
    expect(await heard(sources, "images", { group: "test", start: 0, count: 9 })).toMatchObject({ total: 9, ids: ["test/4"] });
  });

  test("that are not carried are an error", async () => {
    expect(await heard(sources, "thumbnails", { ids: ["test/5"] })).toMatchObject({ kind: "error" });
  });
});
