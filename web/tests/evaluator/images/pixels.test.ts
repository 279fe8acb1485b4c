import { describe, expect, it } from "vitest";
import { inMode, type Pixels } from "../../../src/evaluator/images/pixels.ts";

const picture = (channels: number, ...values: number[]): Pixels => ({
  height: 1,
  width: values.length / channels,
  channels,
  data: Uint8Array.from(values),
});

describe("modes", () => {
  it("grey of colour is BT.601 luma", () => {
    expect([...inMode(picture(3, 255, 0, 0, 0, 255, 0, 0, 0, 255), "L").data]).toEqual([76, 150, 29]);
  });

  it("lays alpha that is not wanted on white", () => {
    expect([...inMode(picture(4, 0, 100, 200, 0, 0, 100, 200, 255), "RGB").data]).toEqual([255, 255, 255, 0, 100, 200]);
    expect([...inMode(picture(2, 0, 128), "L").data]).toEqual([127]);
  });

  it("repeats grey and adds opaque alpha", () => {
    expect([...inMode(picture(1, 7), "RGB").data]).toEqual([7, 7, 7]);
    expect([...inMode(picture(1, 7), "RGBA").data]).toEqual([7, 7, 7, 255]);
    expect([...inMode(picture(2, 7, 9), "RGBA").data]).toEqual([7, 7, 7, 9]);
    expect([...inMode(picture(4, 9, 9, 9, 5), "LA").data]).toEqual([9, 5]);
  });
});
