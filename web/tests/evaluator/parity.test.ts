/// <reference types="node" />
/** The evaluator against PyTorch and Pillow; tests/reporting/views/test_evaluator.py writes the fixtures. */

import { describe, expect, it } from "vitest";
import { geometry, normalise, type Preprocess, seen } from "../../src/evaluator/images/preprocess.ts";
import { type Move, moved } from "../../src/evaluator/images/moving.ts";
import { OPERATIONS } from "../../src/evaluator/operations/table.ts";
import { type Network, run } from "../../src/evaluator/run.ts";
import { levels, type MapShape } from "../../src/evaluator/shown.ts";
import { answerer, type Args } from "../../src/evaluator/answers.ts";
import type { Offline } from "../../src/evaluator/subject.ts";
import { type Answer, isArray, type NdArray, type Value } from "../../src/protocol/wire.ts";
import { fixture, fixtures } from "./fixtures.ts";

interface Picture {
  pixels: NdArray<Uint8Array>;
  preprocess: Preprocess;
  seen: NdArray<Uint8Array>;
  tensor: NdArray<Float32Array>;
  geometry: [number, number, number, number];
}

describe.runIf(fixtures("picture").length > 0)("pictures", () => {
  it.each(fixtures("picture"))("%s", (name) => {
    const given = fixture<Picture>(name);
    const [height, width, channels] = given.pixels.shape as [number, number, number];
    const picture = { height, width, channels, data: given.pixels.data };
    const found = seen(picture, given.preprocess);
    expect([found.height, found.width, found.channels]).toEqual(given.seen.shape);
    // equal to the bit, but for Lanczos: the sines of two libraries differ in their last digit
    expect(mostApart(found.data, given.seen.data)).toBeLessThanOrEqual(
      given.preprocess.interpolation === "lanczos" ? 1 : 0,
    );
    const tensor = normalise(found, given.preprocess);
    expect(tensor.shape).toEqual(given.tensor.shape);
    expect(
      mostApart(normalise({ ...found, data: given.seen.data }, given.preprocess).data, given.tensor.data),
    ).toBeLessThan(1e-6);
    const box = geometry(picture, given.preprocess);
    expect(mostApart([box.top, box.left, box.bottom, box.right], given.geometry)).toBeLessThan(1e-9);
  });
});

interface Moved {
  pixels: NdArray<Uint8Array>;
  moves: { shift: [number, number]; rotate: number; scale: number; moved: NdArray<Uint8Array> }[];
}

describe.runIf(fixtures("moved").length > 0)("moved pictures", () => {
  it.each(fixtures("moved"))("%s", (name) => {
    const given = fixture<Moved>(name);
    const [height, width, channels] = given.pixels.shape as [number, number, number];
    for (const move of given.moves) {
      const found = moved({ height, width, channels, data: given.pixels.data }, move satisfies Move);
      // sines of two libraries may differ in their last digit, which decides a tie of the rounding
      expect(mostApart(found.data, move.moved.data)).toBeLessThanOrEqual(1);
      expect(found.data.filter((value, at) => value !== move.moved.data[at]).length).toBeLessThan(
        found.data.length / 1000,
      );
    }
  });
});

interface Shown {
  maps: NdArray<Float32Array>;
  side: number | null;
  values: NdArray<Uint8Array>;
  low: NdArray<Float32Array>;
  high: NdArray<Float32Array>;
}

describe.runIf(fixtures("shown").length > 0)("maps as bytes", () => {
  it.each(fixtures("shown"))("%s", (name) => {
    const given = fixture<Shown>(name);
    const found = levels(given.maps.data, given.maps.shape as unknown as MapShape, given.side);
    expect(found.shape).toEqual(given.values.shape);
    expect(mostApart(found.values, given.values.data)).toBeLessThanOrEqual(1); // sums in another order
    expect(mostApart(found.low, given.low.data)).toBe(0);
    expect(mostApart(found.high, given.high.data)).toBe(0);
  });
});

interface Ran {
  network: Network;
  input: NdArray<Float32Array>;
  values: Record<string, NdArray<Float32Array>>;
}

const TOLERANCE = 1e-4; // of the layer's largest magnitude

describe.runIf(fixtures("network").length > 0)("networks", () => {
  it.each(fixtures("network"))("%s", (name) => {
    const given = fixture<Ran>(name);
    const found = run(given.network, given.input);
    expect([...found.keys()]).toEqual(Object.keys(given.values));
    for (const [node, expected] of Object.entries(given.values)) {
      expect([node, found.get(node)!.shape]).toEqual([node, expected.shape]);
      const gap = mostApart(found.get(node)!.data, expected.data) / (largest(expected.data) || 1);
      expect(gap, `${node} differs by ${gap} of its largest magnitude`).toBeLessThan(TOLERANCE);
    }
  });
});

it.runIf(fixtures("operations").length > 0)("operations-all", () => {
  expect(Object.keys(OPERATIONS).sort()).toEqual(fixture<{ names: string[] }>("operations-all").names);
});

interface Answered {
  offline: Offline;
  /** `scale`: the largest magnitude of the layer that is opened and of those before it; 0 for other questions. */
  asked: { question: string; args: Args; answer: Answer; scale: number }[];
}

const PATIENCE = 60_000; // milliseconds: a busy machine is no failure

describe.runIf(fixtures("answers").length > 0)("answers", () => {
  it.each(fixtures("answers"))(
    "%s",
    async (name) => {
      const given = fixture<Answered>(name);
      const answer = answerer(given.offline);
      for (const { question, args, answer: expected, scale } of given.asked) {
        const found = await answer(question, args);
        const differences = found === null ? ["no answer"] : compare(found, expected, question, scale);
        expect(differences.map((text) => `${JSON.stringify([args.layer, args.unit])} ${text}`).join("\n")).toBe("");
      }
    },
    PATIENCE,
  );
});

/** What differs between two answers: keys, texts, whole numbers, or other numbers beyond the tolerance. */
function compare(found: Value, expected: Value, path: string, scale: number): string[] {
  if (isArray(expected)) return compareArrays(found, expected, path, scale);
  if (typeof expected === "number") {
    if (typeof found !== "number") return [`${path}: ${String(found)} instead of ${expected}`];
    const most = path.endsWith(".error") ? TOLERANCE * scale : TOLERANCE * Math.max(Math.abs(expected), scale);
    return Math.abs(found - expected) <= most ? [] : [`${path}: ${found} instead of ${expected}`];
  }
  if (typeof expected !== "object" || expected === null) {
    return found === expected ? [] : [`${path}: ${String(found)} instead of ${String(expected)}`];
  }
  if (typeof found !== "object" || found === null) return [`${path}: ${String(found)} instead of an object`];
  const [own, wanted] = [found as Answer, expected as Answer];
  const keys = [Object.keys(own).sort().join(), Object.keys(wanted).sort().join()];
  if (keys[0] !== keys[1]) return [`${path}: keys ${keys[0]} instead of ${keys[1]}`];
  const within = Math.max(scale, ...[wanted.low, wanted.high].map((ends) => (isArray(ends) ? largest(ends.data) : 0)));
  return Object.keys(wanted).flatMap((key) => compare(own[key]!, wanted[key]!, `${path}.${key}`, within));
}

function compareArrays(found: Value, expected: NdArray, path: string, scale: number): string[] {
  if (!isArray(found)) return [`${path}: no array`];
  const form = [`${found.dtype} (${found.shape.join(", ")})`, `${expected.dtype} (${expected.shape.join(", ")})`];
  if (form[0] !== form[1]) return [`${path}: ${form[0]} instead of ${form[1]}`];
  // bytes of maps and of moved pictures may round the other way
  const float = path.endsWith(".probabilities") ? 1e-5 : TOLERANCE * Math.max(scale, largest(expected.data));
  const most = { int32: 0, uint8: path.endsWith(".padding") ? 0 : 1, float32: float };
  const gap = mostApart(found.data, expected.data);
  return gap <= most[expected.dtype] ? [] : [`${path}: differs by ${gap}`];
}

function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
}

function mostApart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let index = 0; index < a.length; index++) {
    const gap = Object.is(a[index], b[index]) || a[index] === b[index] ? 0 : Math.abs(a[index]! - b[index]!);
    most = Number.isNaN(gap) ? Infinity : Math.max(most, gap);
  }
  return most;
}

it.runIf(process.env.OPSIN_FIXTURES === undefined)("waits for the fixtures of the Python test", () => {
  expect(fixtures("picture")).toEqual([]);
});
