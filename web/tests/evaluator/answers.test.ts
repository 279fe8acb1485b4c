import { describe, expect, it } from "vitest";
import { answerer } from "../../src/evaluator/answers.ts";
import { array, type Answer, type NdArray } from "../../src/protocol/wire.ts";
import { small } from "./small.ts";

const ask = (question: string, args: Record<string, unknown>, answer = answerer(small())): Promise<Answer> => {
  const found = answer(question, args);
  if (found === null) throw new Error("nobody answers");
  return found;
};
const floats = (value: unknown): number[] => Array.from((value as NdArray).data);

describe("answerer", () => {
  it("leaves to others what is not for it", () => {
    const answer = answerer(small());
    expect(answer("steps", {})).toBeNull();
    expect(answer("toString", { image: "probe/0" })).toBeNull();
    expect(answer("maps", { image: "test/7" })).toBeNull(); // not carried: what is stored counts
  });

  it("answers about a picture that is carried", async () => {
    const { probabilities, layers } = await ask("maps", { image: "probe/0", layers: ["conv", "fc"] });
    expect(floats(probabilities)[1]).toBeCloseTo(1 / (1 + Math.exp(1.6 - 7.2)), 5);
    expect(Object.keys(layers as Answer)).toEqual(["conv", "fc"]);
    expect((layers as Record<string, Answer>).conv!.size).toEqual([4, 4]);
    const { label, tensor } = await ask("input", { image: "probe/0" });
    expect([
      label,
      floats(tensor)
        .slice(0, 2)
        .map((value) => value.toFixed(3)),
    ]).toEqual([1, ["0.000", "0.200"]]);
  });

  it("keeps what is drawn, and looks at it", async () => {
    const answer = answerer(small());
    const pixels = array(new Uint8Array(64).fill(255), [8, 8, 1]);
    const kept = await ask("put", { pixels, name: "drawn" }, answer);
    expect([kept.name, kept.size]).toEqual(["drawn", [8, 8]]);
    expect(kept.id).toMatch(/^own\/[0-9a-f]{14}$/);
    expect((await ask("put", { pixels: array(new Uint8Array(64), [8, 8, 1]) }, answer)).id).not.toBe(kept.id);
    const { probabilities } = await ask("maps", { image: kept.id }, answer);
    expect(floats(probabilities).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
    await expect(ask("put", { name: "nothing" }, answer)).rejects.toThrow("neither pixels nor a file");
    await expect(ask("put", { pixels: array(new Uint8Array(0), [0, 0, 1]) }, answer)).rejects.toThrow("expected uint8");
  });

  it("opens a dropped file by the browser", async () => {
    const decoded = { height: 2, width: 2, channels: 4, data: new Uint8Array(16).fill(255) };
    const answer = answerer(small(), async (file, name) => ({ ...decoded, data: decoded.data.fill(file[0]!), name }));
    const kept = await ask("put", { file: array(Uint8Array.of(255)), name: "a.png" }, answer);
    expect(floats((await ask("input", { image: kept.id }, answer)).pixels)).toEqual(new Array(16).fill(255));
  });

  it("cuts channels out, and gives numbers as they are", async () => {
    const { layers } = await ask("maps", { image: "probe/0", layers: "conv", channels: [1], exact: true });
    const { values, low } = (layers as Record<string, Answer>).conv!;
    expect((values as NdArray).shape).toEqual([1, 4, 4]);
    expect(floats(low)[0]).toBeCloseTo(0.1, 5);
    await expect(ask("maps", { image: "probe/0", channels: [9] })).rejects.toThrow(
      "channel 9 of input was asked for; it has 1",
    );
  });

  it("draws how the answer changes", async () => {
    const { probabilities, values } = await ask("response", { image: "probe/0", change: "shift_x", values: [0, 4] });
    expect([(probabilities as NdArray).shape, floats(values)]).toEqual([
      [2, 2],
      [0, 4],
    ]);
    expect(floats(probabilities)[3]!).toBeLessThan(floats(probabilities)[1]!); // a flat picture has no edge
    await expect(ask("response", { image: "probe/0", change: "twist", values: [1] })).rejects.toThrow(
      "the change twist",
    );
  });

  it("says what a unit can depend on, for any picture", async () => {
    expect((await ask("fields", { layer: "pool", unit: [0, 0, 0] })).receptive_field).toEqual([0, 0, 3, 3]);
    await expect(ask("fields", { layer: "pol", unit: [0, 0, 0] })).rejects.toThrow("there is no layer pol");
  });
});
