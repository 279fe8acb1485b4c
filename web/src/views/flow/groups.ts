/** Long chains of modules as groups by their paths, so that a graph of hundreds of operations stays readable. */

import type { GraphNode } from "./answers.ts";

/** Nodes of one module that follow on each other in the order of running. */
export interface Group {
  path: string;
  first: number;
  last: number;
}

/** What stands for one or many nodes in the drawing. */
export interface Shown {
  /** A node's name, or `group:` and the path. */
  id: string;
  label: string;
  /** The node whose maps are shown: of a group the one that it hands on. */
  node: GraphNode;
  members: number[];
  group: Group | null;
  /** Paths of opened groups that it is in, outermost first. */
  within: string[];
  /** Two ways meet again inside of it: a sum, a product, or joined channels. */
  joins: string | null;
}

export interface Edge {
  from: string;
  to: string;
}

const JOINS = new Set(["add", "mul", "cat"]);

/** A group's members are one run without gaps: otherwise what is drawn as one would come both before and after others. */
export function groupsOf(nodes: readonly GraphNode[]): Group[] {
  const members = new Map<string, number[]>();
  nodes.forEach((node, index) => {
    for (const path of holders(node)) members.set(path, [...(members.get(path) ?? []), index]);
  });
  const found: Group[] = [];
  const seen = new Set<string>();
  for (const [path, list] of members) {
    const [first, last] = [list[0] ?? 0, list.at(-1) ?? 0];
    const run = `${first}-${last}`;
    // of nested modules with the same nodes only the outermost is a group
    if (list.length < 2 || last - first + 1 !== list.length || seen.has(run)) continue;
    seen.add(run);
    found.push({ path, first, last });
  }
  return found;
}

/** Paths of the modules that a node is in, outermost first. */
export function holders(node: GraphNode): string[] {
  const parts = node.module.split(".");
  const own = node.name === node.module ? parts.length - 1 : parts.length;
  if (!node.module) return [];
  return Array.from({ length: own }, (_, index) => parts.slice(0, index + 1).join("."));
}

/** Fewer things than this tell nothing of a network: then its largest group is opened, however many it holds. */
const TOO_FEW = 6;

/** Open the largest groups, with those beside them that are alike, while no more than `most` things are shown. */
export function openedFor(nodes: readonly GraphNode[], groups: readonly Group[], most: number): Set<string> {
  let open = new Set<string>();
  for (;;) {
    const shown = shownOf(nodes, groups, open);
    const closed = shown.filter((item) => item.group).sort((a, b) => b.members.length - a.members.length);
    const [largest] = closed;
    if (!largest?.group) return open;
    const parent = parentOf(largest.group.path);
    // blocks that are alike are opened together: what is equal is to look equal
    const alike = closed.filter((item) => parentOf(item.group?.path ?? "") === parent && item.members.length > largest.members.length / 2);
    const more = new Set([...open, ...alike.map((item) => item.group?.path ?? "")]);
    if (shownOf(nodes, groups, more).length > most && shown.length >= TOO_FEW) return open;
    open = more;
  }
}

const parentOf = (path: string): string => path.split(".").slice(0, -1).join(".");

export function shownOf(nodes: readonly GraphNode[], groups: readonly Group[], open: ReadonlySet<string>): Shown[] {
  const starting = new Map<number, Group[]>();
  for (const group of groups) starting.set(group.first, [...(starting.get(group.first) ?? []), group]);
  for (const list of starting.values()) list.sort((a, b) => b.last - a.last);
  const used = handedOn(nodes);
  const found: Shown[] = [];
  let within: Group[] = [];
  for (let index = 0; index < nodes.length; index++) {
    within = within.filter((group) => group.last >= index);
    const closed = (starting.get(index) ?? []).find((group) => {
      if (open.has(group.path)) within.push(group);
      return !open.has(group.path);
    });
    const paths = within.map((group) => group.path);
    found.push(closed ? wholeGroup(nodes, closed, used, paths) : single(nodes, index, paths));
    if (closed) index = closed.last;
  }
  return found;
}

function single(nodes: readonly GraphNode[], index: number, within: string[]): Shown {
  const node = nodes[index] as GraphNode;
  return { id: node.name, label: below(node.name, within), node, members: [index], group: null, within, joins: null };
}

function wholeGroup(nodes: readonly GraphNode[], group: Group, used: readonly number[], within: string[]): Shown {
  const members = Array.from({ length: group.last - group.first + 1 }, (_, index) => group.first + index);
  // what the group hands on: its last node that one behind it takes
  const out = members.findLast((index) => (used[index] ?? 0) > group.last) ?? group.last;
  const join = members.map((index) => nodes[index] as GraphNode).find((node) => JOINS.has(node.operation) && node.inputs.length > 1);
  return {
    id: `group:${group.path}`,
    label: below(group.path, within),
    node: nodes[out] as GraphNode,
    members,
    group,
    within,
    joins: join?.operation ?? null,
  };
}

/** For every node the last one that takes it, or the number of nodes where none does: it is an answer. */
function handedOn(nodes: readonly GraphNode[]): number[] {
  const places = new Map(nodes.map((node, index) => [node.name, index]));
  const last = new Array<number>(nodes.length).fill(-1);
  nodes.forEach((node, index) => {
    for (const name of node.inputs) {
      const place = places.get(name);
      if (place !== undefined) last[place] = index;
    }
  });
  return last.map((index) => (index < 0 ? nodes.length : index));
}

/** A name without the path of the opened group that it stands in. */
function below(name: string, within: readonly string[]): string {
  const prefix = within.findLast((path) => name.startsWith(`${path}.`));
  return prefix ? name.slice(prefix.length + 1) : name;
}

export function edgesOf(nodes: readonly GraphNode[], shown: readonly Shown[]): Edge[] {
  const owner = new Map<string, string>();
  for (const item of shown) for (const index of item.members) owner.set(nodes[index]?.name ?? "", item.id);
  const found = new Map<string, Edge>();
  for (const item of shown) {
    for (const index of item.members) {
      for (const name of nodes[index]?.inputs ?? []) {
        const from = owner.get(name);
        if (from && from !== item.id) found.set(`${from}\n${item.id}`, { from, to: item.id });
      }
    }
  }
  return [...found.values()];
}
