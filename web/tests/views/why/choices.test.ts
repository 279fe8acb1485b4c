import { describe, expect, it } from "vitest";
import { NOTHING } from "../../../src/protocol/selection.svelte.ts";
import { firstColumns, layerOf, MOST_COLUMNS, rowsOf, shortTitle, stepColumns, stepOf, toggled } from "../../../src/views/why/choices.ts";
import { methods } from "./fixtures.ts";

describe("columns", () => {
  it("begin with what is recommended, what was checked and what is chosen", () => {
    expect(firstColumns(methods(), null)).toEqual(["integrated_gradients", "guided_backprop", "grad_cam", "saliency"]);
    expect(firstColumns(methods(), "rise")).toContain("rise");
    expect(firstColumns(methods(), "no such")).not.toContain("no such");
  });

  it("are filled with quick methods only", () => {
    const some = methods({ recommended: null, kept: {} });
    for (const method of some.methods) method.slow = method.name !== "grad_cam";
    expect(firstColumns(some, null)).toEqual(["grad_cam"]);
  });

  it("come and go, and one stays", () => {
    expect(toggled(["grad_cam"], "rise", methods())).toEqual(["grad_cam", "rise"]);
    expect(toggled(["grad_cam", "rise"], "grad_cam", methods())).toEqual(["rise"]);
    expect(toggled(["rise"], "rise", methods())).toEqual(["rise"]);
    const all = methods().methods.map((method) => method.name);
    const full = all.slice(0, MOST_COLUMNS);
    const more = toggled(full, all.at(-1) ?? "", methods());
    expect(more).toHaveLength(MOST_COLUMNS);
    expect(more).toContain(all.at(-1));
  });
});

describe("rows", () => {
  it("are a page of the group", () => {
    expect(rowsOf(null, "test", 4, 6)).toEqual(["test/4", "test/5"]);
    expect(rowsOf(null, "test", 0, 0)).toEqual([]);
  });

  it("begin with the chosen image where the page has it not", () => {
    expect(rowsOf("own/ab", "test", 0, 9)).toEqual(["own/ab", "test/0", "test/1", "test/2"]);
    expect(rowsOf("test/2", "test", 0, 9)).toEqual(["test/0", "test/1", "test/2", "test/3"]);
    expect(rowsOf("own/ab", "own", 0, 0)).toEqual(["own/ab"]);
  });
});

describe("layer and step", () => {
  it("only a layer with places is asked for", () => {
    expect(layerOf(methods(), "conv1")).toBe("conv1");
    expect(layerOf(methods(), "fc1")).toBeNull();
    expect(layerOf(methods(), null)).toBeNull();
  });

  it("a step without a snapshot is the one before", () => {
    expect(stepOf({ ...NOTHING, step: 14 }, [5, 10, 20], true)).toBe(10);
    expect(stepOf({ ...NOTHING, step: 2 }, [5, 10, 20], true)).toBe(5);
  });

  it("the columns of an earlier step are those that it can show", () => {
    const some = methods({ of_steps: ["grad_cam", "grad_cam_pp", "hires_cam", "layer_cam", "xgrad_cam"] });
    expect(stepColumns(["rise", "hires_cam"], some)).toEqual(["hires_cam", "grad_cam", "grad_cam_pp", "layer_cam"]);
  });

  it("the last step is the network as it is, where there is one", () => {
    const at = (step: number | null) => ({ ...NOTHING, step });
    expect(stepOf(at(null), [0, 10, 20], true)).toBeNull();
    expect(stepOf(at(20), [0, 10, 20], true)).toBeNull();
    expect(stepOf(at(10), [0, 10, 20], true)).toBe(10);
    expect(stepOf(at(null), [0, 10, 20], false)).toBe(20);
    expect(stepOf(at(10), [0, 10, 20], false)).toBe(10);
    expect(stepOf(at(10), [], true)).toBeNull();
    expect(stepOf(at(99), [0, 10, 20], false)).toBe(20);
  });
});

it("a method's name is its title without the source", () => {
  expect(shortTitle("Grad-CAM, Selvaraju et al. 2017")).toBe("Grad-CAM");
});
