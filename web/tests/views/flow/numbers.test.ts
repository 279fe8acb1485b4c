import { describe, expect, it } from "vitest";
import { likeliest } from "../../../src/views/flow/likeliest.ts";
import { moveArguments } from "../../../src/views/flow/flow.svelte.ts";
import { CHANGES, curveValues, sliderOf, valueOf, withValue } from "../../../src/views/flow/moves.ts";
import { bytesOf, MOST_BYTES, sideFor } from "../../../src/views/flow/overview.ts";
import { tensorPath } from "../../../src/views/flow/path.ts";
import { precise, rough, short, squeezed } from "../../../src/views/flow/short.ts";
import { strongest } from "../../../src/views/flow/strongest.ts";
import { STILL } from "../../../src/views/flow/answers.ts";
import { shownOf } from "../../../src/views/flow/groups.ts";
import { node } from "./network.ts";

describe("numbers in cells", () => {
  it("keep to six signs", () => {
    const values = [0, 1, -1.2345, 0.0776, -0.181, 12.345, -123.4, 1e-5, -6.78e-4, 0.9996];
    expect(values.map(short)).toEqual(["0", "1", "−1.23", ".078", "−.181", "12.3", "−123", "1e-5", "−.001", "1"]);
    for (const value of values) expect(short(value).length).toBeLessThanOrEqual(6);
  });
  it("are precise where a sum is to add up", () => expect(precise(-2.804131)).toBe("−2.80413"));
  it("are rough below narrow columns", () => expect([5.234, 0.591, 3.2e-6, 1234.5, 0].map(rough)).toEqual(["5.2", ".59", "3e-6", "1235", "0"]));
});

it("names keep what tells them apart", () => {
  expect(squeezed("activation1", 5)).toBe("act…1");
  expect(squeezed("activation2", 5)).toBe("act…2");
  expect(squeezed("layer1.0.conv1", 5)).toBe("conv1");
  expect(squeezed("max_pool2d_1", 8)).toBe("max_p…_1");
  expect(squeezed("conv1", 5)).toBe("conv1");
  for (let most = 3; most < 14; most++) expect(squeezed("activation1", most).length).toBeLessThanOrEqual(most);
});

it("the likeliest come first, equal ones in order", () => expect(likeliest([0.1, 0.4, 0.1, 0.4], 3)).toEqual([1, 3, 0]));

it("the strongest of a map counts by magnitude", () => {
  const values = Float32Array.from([0, 1, -3, 3, 2, 0]);
  expect(strongest({ values, start: 0, rows: 2, columns: 3, low: 0, high: 0 })).toEqual([0, 2]);
});

it("paths are what one can type", () => {
  expect(tensorPath(null, null, null)).toBe("model");
  expect(tensorPath("layer3.1.conv2", 17, null)).toBe("model.layer3[1].conv2[17]");
  expect(tensorPath("conv1", 5, [5, 12, 7])).toBe("model.conv1[5, 12, 7]");
});

describe("moves", () => {
  it("say nothing where nothing moves, so that equal questions are equal", () => {
    expect(moveArguments(STILL)).toEqual({});
    expect(moveArguments({ shift: [0, 3], rotate: 0, scale: 1 })).toEqual({ shift: [0, 3] });
  });
  it("are set one by one", () => {
    for (const change of CHANGES) {
      const slider = sliderOf(change, 28);
      const moved = withValue(STILL, change, slider.high);
      expect(valueOf(moved, change)).toBe(slider.high);
      expect(CHANGES.filter((other) => valueOf(moved, other) !== valueOf(STILL, other))).toEqual([change]);
    }
  });
  it("run from end to end of their slider", () => {
    const slider = sliderOf("rotate", 28);
    const values = curveValues(slider, 28);
    expect([values[0], values.at(-1)]).toEqual([slider.low, slider.high]);
    expect(values).toContain(0);
    expect(curveValues(slider, 224).length).toBeLessThan(values.length);
  });
});

it("an overview of a residual network at 224 pixels is asked for small enough", () => {
  const stages = [[64, 112], [64, 112], [64, 112], [64, 56], [64, 56], [64, 56], [128, 28], [128, 28], [256, 14], [256, 14], [512, 7], [512, 7]];
  const nodes = stages.map(([channels = 0, side = 0], index) => node(`n${index}`, "relu", index ? [`n${index - 1}`] : [], [channels, side, side]));
  const shown = shownOf(nodes, [], new Set());
  expect(bytesOf(shown, 56)).toBeGreaterThan(MOST_BYTES);
  expect(bytesOf(shown, sideFor(shown))).toBeLessThanOrEqual(MOST_BYTES);
  expect(sideFor(shownOf(nodes.slice(-2), [], new Set()))).toBe(56);
});
