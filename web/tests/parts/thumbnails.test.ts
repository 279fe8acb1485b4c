import { describe, expect, it, vi } from "vitest";
import { separate, store, type Thumbnails } from "../../src/parts/thumbnails.ts";
import type { Asker } from "../../src/protocol/ask.ts";
import { array } from "../../src/protocol/wire.ts";

const answer: Thumbnails = {
  ids: ["a", "b"], names: ["one", "two"], labels: array(Int32Array.of(3, -1)), sizes: array(Int32Array.of(1, 2, 2, 1), [2, 2]),
  grey: false, pixels: array(Uint8Array.from({ length: 12 }, (_, at) => at)),
};

function fake(): { ask: Asker; asked: string[][]; answerNext: () => Promise<void>; failNext: () => Promise<void> } {
  const asked: string[][] = [];
  const waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void; ids: string[] }[] = [];
  const ask = ((_: string, args: { ids: string[] }) =>
    new Promise((resolve, reject) => {
      asked.push(args.ids);
      waiting.push({ resolve, reject, ids: args.ids });
    })) as unknown as Asker;
  const settled = async (): Promise<void> => { await new Promise((resolve) => setTimeout(resolve)); };
  return {
    ask,
    asked,
    answerNext: async () => {
      const { resolve, ids } = waiting.shift()!;
      resolve({
        ids, names: ids, labels: array(new Int32Array(ids.length)), sizes: array(new Int32Array(2 * ids.length).fill(1)), grey: true,
        pixels: array(new Uint8Array(ids.length)),
      });
      await settled();
    },
    failNext: async () => {
      waiting.shift()!.reject(new Error("gone"));
      await settled();
    },
  };
}

describe("thumbnails", () => {
  it("are cut out of one row of pixels", () => {
    const [one, two] = separate(answer);
    expect(one).toMatchObject({ name: "one", label: 3 });
    expect(one?.picture.shape).toEqual([1, 2, 3]);
    expect([...(two?.picture.data ?? [])]).toEqual([6, 7, 8, 9, 10, 11]);
    expect(two?.label).toBe(-1);
  });

  it("are asked for once, one question at a time, the newest wishes first", async () => {
    const { ask, asked, answerNext } = fake();
    const arrived = vi.fn();
    const kept = store(ask, 32, (thumbnail) => thumbnail.name, arrived);
    kept.want(["a", "b"]);
    kept.want(["c"]);
    kept.want(["c", "a", "d"]);
    expect(asked).toEqual([["a", "b"]]);
    await answerNext();
    expect(arrived).toHaveBeenCalledTimes(1);
    expect(kept.get("a")).toBe("a");
    expect(asked[1]).toEqual(["c", "d"]);
    await answerNext();
    kept.want(["a", "b", "c", "d", ""]);
    expect(asked).toHaveLength(2);
  });

  it("that cannot be opened are not asked for again", async () => {
    const { ask, asked, failNext } = fake();
    const kept = store(ask, 32, (thumbnail) => thumbnail.name, () => undefined);
    kept.want(["x"]);
    await failNext();
    kept.want(["x"]);
    expect(asked).toHaveLength(1);
    expect(kept.get("x")).toBeUndefined();
  });

  it("tell nobody once the view is closed", async () => {
    const { ask, answerNext } = fake();
    const arrived = vi.fn();
    const kept = store(ask, 32, (thumbnail) => thumbnail.name, arrived);
    kept.want(["a"]);
    kept.close();
    await answerNext();
    expect(arrived).not.toHaveBeenCalled();
  });
});
