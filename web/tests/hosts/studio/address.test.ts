import { expect, test } from "vitest";
import { readAddress, writeAddress } from "../../../src/hosts/studio/address.ts";
import { NOTHING } from "../../../src/protocol/selection.svelte.ts";

const EVERYTHING = {
  subject: "ab12",
  view: "flow",
  language: "zh-CN",
  theme: "dark",
  selection: {
    image: "test/7", layer: "layer1.0.conv1", channel: 5, unit: [5, 12, 7] as [number, number, number],
    step: 700, beside: 0, class: 3, method: "grad_cam", scope: "global" as const,
  },
};

test("an address comes back as it was written", () => {
  expect(readAddress(writeAddress(EVERYTHING))).toEqual(EVERYTHING);
  const nothing = { subject: null, view: null, language: null, theme: null, selection: NOTHING };
  expect(writeAddress(nothing)).toBe("#");
  expect(readAddress("")).toEqual(nothing);
});

test("an address can be read by people", () => {
  expect(writeAddress(EVERYTHING)).toContain("image=test/7&layer=layer1.0.conv1");
  expect(writeAddress(EVERYTHING)).toContain("unit=5,12,7");
});

test("names can be any text", () => {
  const odd = { ...EVERYTHING, selection: { ...EVERYTHING.selection, layer: "<script>#&=%+ 层", image: "own/a b" } };
  expect(readAddress(writeAddress(odd))).toEqual(odd);
});

test("a unit says of which channel it is", () => expect(readAddress("#layer=conv2&unit=5,4,4").selection.channel).toBe(5));

test.each(["#channel=-1", "#channel=1.5", "#channel=1e9", "#unit=1,2", "#unit=1,2,x", "#scope=all", "#step=", "#class=NaN"])(
  "what makes no sense counts as not given: %s",
  (hash) => expect(readAddress(hash).selection).toEqual(NOTHING),
);
