import { describe, expect, it } from "vitest";
import { edgesOf, groupsOf, shownOf } from "../../../src/views/flow/groups.ts";
import { layOut, path } from "../../../src/views/flow/layout.ts";
import { node, residual } from "./network.ts";

const nodes = residual();
const room = { width: 500, height: 400, narrowest: 34, widest: 148 };
function laid(open: string[]) {
  const shown = shownOf(nodes, groupsOf(nodes), new Set(open));
  return layOut(shown, edgesOf(nodes, shown), room);
}

describe("a layered graph", () => {
  it("stands from left to right, everything behind what it takes", () => {
    const shown = shownOf(nodes, groupsOf(nodes), new Set(["layer1", "layer1.0"]));
    const edges = edgesOf(nodes, shown);
    const { nodes: places } = layOut(shown, edges, room);
    for (const { from, to } of edges) {
      const [before, after] = [places.get(from)!, places.get(to)!];
      expect(before.left + before.width).toBeLessThan(after.left);
    }
  });

  it("never lays one over another", () => {
    const places = [...laid(["layer1", "layer1.0", "layer1.1"]).nodes.values()];
    for (const a of places) {
      for (const b of places) {
        if (a === b) continue;
        const apart = a.left + a.width <= b.left || b.left + b.width <= a.left || a.top + a.height <= b.top || b.top + b.height <= a.top;
        expect(apart).toBe(true);
      }
    }
  });

  it("fits into the room where it can", () => expect(laid([]).width).toBeLessThanOrEqual(room.width));

  it("lets single numbers make room before anything is cut off", () => {
    const chain = Array.from({ length: 12 }, (_, index) =>
      node(`n${index}`, "relu", index ? [`n${index - 1}`] : [], index < 7 ? [4, 8, 8] : [64]),
    );
    const shown = shownOf(chain, groupsOf(chain), new Set());
    const layout = layOut(shown, edgesOf(chain, shown), { ...room, width: 480 });
    expect(layout.width).toBeLessThanOrEqual(480);
    expect(layout.nodes.get("n11")!.width).toBeLessThan(36);
    expect(layOut(shown, edgesOf(chain, shown), { ...room, width: 900 }).nodes.get("n11")!.width).toBe(36);
  });

  it("leads what skips a block around it", () => {
    const { edges, nodes: places } = laid(["layer1", "layer1.0"]);
    const skip = edges.find((edge) => edge.from === "conv1" && edge.to === "layer1.0.add")!;
    expect(skip.points.length).toBeGreaterThan(3);
    const block = ["layer1.0.conv1", "layer1.0.relu", "layer1.0.conv2"].map((name) => places.get(name)!);
    for (const { x, y } of skip.points.slice(1, -1)) {
      for (const { left, top, width, height } of block) {
        expect(x > left && x < left + width && y > top && y < top + height).toBe(false);
      }
    }
    expect(path(skip)).toMatch(/^M[\d.]+ [\d.]+C/);
  });

  it("of nothing is empty", () => expect(layOut([], [], room).nodes.size).toBe(0));
});
