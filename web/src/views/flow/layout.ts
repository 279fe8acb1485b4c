/** Where the things of a graph stand: columns from left to right, as dagre lays layered graphs. */

import { Graph, layout as lay } from "@dagrejs/dagre";
import { mapShape } from "./answers.ts";
import type { Edge, Shown } from "./groups.ts";
import { isVector, tilingOf } from "./tiles.ts";

export interface Placed {
  id: string;
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Route {
  from: string;
  to: string;
  points: { x: number; y: number }[];
}

export interface Layout {
  width: number;
  height: number;
  nodes: Map<string, Placed>;
  edges: Route[];
}

export interface Room {
  /** Of all columns together, and of one of them. */
  width: number;
  height: number;
  narrowest: number;
  widest: number;
}

const GAP = 7;
const BETWEEN = 10;
/** What only hands on its numbers takes a line, single numbers take less than maps. */
const THIN = 16;
const VECTOR = 36;
const SLIM_VECTOR = 24;
const LINE = 96;
/** Below every map: its name and range. */
export const CAPTION = 36;

export function layOut(shown: readonly Shown[], edges: readonly Edge[], room: Room): Layout {
  const ranks = ranked(shown, edges);
  const columns = Math.max(...ranks.values(), 0) + 1;
  const crowd = new Array<number>(columns).fill(0);
  for (const rank of ranks.values()) crowd[rank] = (crowd[rank] ?? 0) + 1;
  const widths = widthsOf(shown, ranks, columns, room);
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", ranksep: GAP, nodesep: BETWEEN, edgesep: 6, ranker: "longest-path" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const item of shown) {
    const rank = ranks.get(item.id) ?? 0;
    const many = crowd[rank] ?? 1;
    const width = widths[rank] ?? room.narrowest;
    const most = Math.max(Math.floor((room.height - BETWEEN * (many - 1)) / many), 48 + CAPTION);
    graph.setNode(item.id, { width, height: heightOf(item, width, most) });
  }
  for (const { from, to } of edges) graph.setEdge(from, to);
  lay(graph);
  return read(graph, shown, edges);
}

/** The width of each column: what its widest thing needs; maps share what is left. */
function widthsOf(shown: readonly Shown[], ranks: ReadonlyMap<string, number>, columns: number, room: Room): number[] {
  const fixed = new Array<number>(columns).fill(0);
  for (const item of shown) {
    const rank = ranks.get(item.id) ?? 0;
    fixed[rank] = Math.max(fixed[rank] ?? 0, isHandedOn(item) ? THIN : isVector(mapShape(item.node.shape)) ? VECTOR : Infinity);
  }
  const count = (of: number): number => fixed.filter((width) => width === of).length;
  const [maps, vectors] = [count(Infinity), count(VECTOR)];
  const left = room.width - GAP * (columns - 1) - THIN * count(THIN);
  // before anything is cut off, single numbers make room
  const vector = within((left - maps * room.narrowest) / Math.max(vectors, 1), SLIM_VECTOR, VECTOR);
  const map = within((left - vectors * vector) / Math.max(maps, 1), room.narrowest, room.widest);
  return fixed.map((width) => (width === Infinity ? map : width === VECTOR ? vector : width));
}

const within = (value: number, least: number, most: number): number => Math.min(Math.max(Math.floor(value), least), most);

/** As high as the tiles need, so that what goes around a layer passes close by. */
function heightOf(item: Shown, width: number, most: number): number {
  if (isHandedOn(item)) return Math.min(most, LINE);
  const tiles = tilingOf(mapShape(item.node.shape), width, most - CAPTION).height;
  return Math.min(most, Math.max(tiles, CAPTION) + CAPTION);
}

const HANDS_ON = new Set(["flatten", "dropout", "reshape", "identity", "stochastic_depth"]);

/** Whether a node gives the numbers that it gets, in their order: there is nothing to see twice. */
export const isHandedOn = (item: Shown): boolean => !item.group && HANDS_ON.has(item.node.operation);

function read(graph: Graph, shown: readonly Shown[], edges: readonly Edge[]): Layout {
  const nodes = new Map<string, Placed>();
  for (const { id } of shown) {
    const { x, y, width, height } = graph.node(id) as { x: number; y: number; width: number; height: number };
    nodes.set(id, { id, left: x - width / 2, top: y - height / 2, width, height });
  }
  const routes = edges.map(({ from, to }) => {
    const { points } = graph.edge({ v: from, w: to }) as { points: { x: number; y: number }[] };
    return { from, to, points };
  });
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { width, height, nodes, edges: routes };
}

/** The column of each: one behind the last of what it takes. */
function ranked(shown: readonly Shown[], edges: readonly Edge[]): Map<string, number> {
  const inputs = new Map<string, string[]>();
  for (const { from, to } of edges) inputs.set(to, [...(inputs.get(to) ?? []), from]);
  const ranks = new Map<string, number>();
  for (const { id } of shown) {
    ranks.set(id, Math.max(-1, ...(inputs.get(id) ?? []).map((from) => ranks.get(from) ?? -1)) + 1);
  }
  return ranks;
}

/** A smooth SVG path through the points of a route. */
export function path({ points }: Route): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let [x, y] = [first.x, first.y];
  let text = `M${x} ${y}`;
  for (const point of rest) {
    const middle = (x + point.x) / 2;
    text += `C${middle} ${y} ${middle} ${point.y} ${point.x} ${point.y}`;
    [x, y] = [point.x, point.y];
  }
  return text;
}
