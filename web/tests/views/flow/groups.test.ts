import { describe, expect, it } from "vitest";
import { edgesOf, groupsOf, openedFor, shownOf } from "../../../src/views/flow/groups.ts";
import { node, residual } from "./network.ts";

const nodes = residual();
const groups = groupsOf(nodes);
const ids = (open: string[]): string[] => shownOf(nodes, groups, new Set(open)).map((item) => item.id);

describe("modules as groups", () => {
  it("are paths with several nodes; a module that runs twice in between is none", () => {
    expect(groups.map((group) => group.path).sort()).toEqual(["layer1", "layer1.0", "layer1.1"]);
  });

  it("closed, stand for all their nodes and show what they hand on", () => {
    expect(ids([])).toEqual(["input", "conv1", "group:layer1", "flatten", "fc"]);
    const group = shownOf(nodes, groups, new Set()).find((item) => item.group);
    expect(group?.node.name).toBe("layer1.1.relu_1");
    expect(group?.joins).toBe("add");
  });

  it("open one level at a time", () => {
    expect(ids(["layer1"])).toEqual(["input", "conv1", "group:layer1.0", "group:layer1.1", "flatten", "fc"]);
    const shown = shownOf(nodes, groups, new Set(["layer1", "layer1.1"]));
    expect(shown).toHaveLength(10);
    expect(shown.find((item) => item.id === "layer1.1.add")?.label).toBe("add");
    expect(shown.find((item) => item.id === "layer1.1.add")?.within).toEqual(["layer1", "layer1.1"]);
  });

  it("show every node exactly once, whatever is open", () => {
    for (const open of [[], ["layer1"], ["layer1", "layer1.0"], ["layer1", "layer1.0", "layer1.1"], ["layer1.0"]]) {
      const members = shownOf(nodes, groups, new Set(open)).flatMap((item) => item.members);
      expect(members).toEqual(nodes.map((_, index) => index));
    }
  });

  it("with gaps are none: they would come both before and after another", () => {
    const shared = [node("input", "input", [], [4], ""), node("a.one", "relu", ["input"], [4], "a.one"), node("b", "relu", ["a.one"], [4]), node("a.two", "relu", ["b"], [4], "a.two")];
    expect(groupsOf(shared)).toEqual([]);
  });
});

describe("edges", () => {
  it("go around a closed group, and keep the way around an opened one", () => {
    const closed = shownOf(nodes, groups, new Set());
    expect(edgesOf(nodes, closed).map(({ from, to }) => `${from}>${to}`)).toEqual([
      "input>conv1", "conv1>group:layer1", "group:layer1>flatten", "flatten>fc",
    ]);
    const open = shownOf(nodes, groups, new Set(["layer1", "layer1.0"]));
    const found = edgesOf(nodes, open).map(({ from, to }) => `${from}>${to}`);
    expect(found).toContain("conv1>layer1.0.add");
    expect(found).toContain("layer1.0.conv2>layer1.0.add");
    expect(found).toContain("layer1.0.relu_1>group:layer1.1");
  });
});

describe("what is open at first", () => {
  it("is as much as there is room for, equal blocks alike", () => {
    expect([...openedFor(nodes, groups, 6)]).toEqual(["layer1"]);
    expect([...openedFor(nodes, groups, 14)].sort()).toEqual(["layer1", "layer1.0", "layer1.1"]);
    expect([...openedFor(nodes, groups, 13)]).toEqual(["layer1"]);
  });

  it("is never so little that nothing is told", () => {
    const chain = [node("input", "input", [], [4], ""), ...Array.from({ length: 40 }, (_, index) => node(`features.${index}`, "relu", [index ? `features.${index - 1}` : "input"], [4]))];
    expect([...openedFor(chain, groupsOf(chain), 12)]).toEqual(["features"]);
  });
});
