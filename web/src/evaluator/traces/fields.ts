/**
 * What a number can depend on in every node before it, by going back through the graph: the twin of
 * `opsin.explanation.tracing.fields`. For each node the places are kept axis by axis, as sorted indices.
 */

import { type Arguments, flagOf, numberOf, numbersOf, pairOf } from "../arguments.ts";
import type { Pair } from "../operations/convolution.ts";
import { adaptiveSpans } from "../operations/pools.ts";
import { adaptiveSize, poolOf } from "../operations/table.ts";
import type { Network, Node, Values } from "../run.ts";
import type { Spans } from "../shown.ts";
import { axisOf, strides } from "../tensor.ts";
import { FUNCTIONS } from "./functions.ts";
import { MOVING, sources, unraveled } from "./moved.ts";
import { argumentsFor, isOneImage, isReference, type Opening, operand, range } from "./opening.ts";
import { paddingBefore } from "./sums.ts";
import { reducedAxes } from "./windows.ts";

/** Per axis the indices, sorted. */
type Region = readonly (readonly number[])[];
type Rule = (place: Place, role: string, shape: readonly number[], region: Region) => Region;

/** A node on the way back, its arguments read. */
interface Place {
  readonly opening: Opening;
  readonly args: Arguments;
}

export interface Fields {
  /** Per node before it; several where branches take different places of it. */
  readonly regions: ReadonlyMap<string, readonly Region[]>;
  /** Nodes of which branches take so many different places that only what holds them all is kept. */
  readonly joined: readonly string[];
  /** Operations of which it is not known what they take: everything before them is counted. */
  readonly unknown: readonly string[];
  /** Whether a statistic of the picture was met that rescales whole channels. */
  readonly hasStatistics: boolean;
}

/** Regions of one node that are kept apart. */
const MOST = 8;
/** Global pools, which make one number of a channel, as the gates of a network do. */
const COLLAPSING = new Set([
  "adaptive_avg_pool2d",
  "adaptive_max_pool2d",
  "avg_pool2d",
  "max_pool2d",
  "mean",
  "sum",
  "amax",
]);
/** All of the output comes from all of the input. */
const REORDERING = new Set(["flatten", "permute", "reshape", "squeeze", "transpose", "unflatten", "unsqueeze"]);
const STATISTICS = new Set(["group_norm", "instance_norm"]);

/**
 * Go back from a number: the fields, and the local ones without what only rescales whole channels by a statistic of the
 * picture (global pools; mean and spread of group normalisation).
 */
export function fieldsBefore(
  network: Network,
  values: Values,
  name: string,
  place: readonly number[],
): { whole: Fields; local: Fields } {
  const whole = goBack(network, values, name, place, false);
  return { whole, local: whole.hasStatistics ? goBack(network, values, name, place, true) : whole };
}

function goBack(network: Network, values: Values, name: string, place: readonly number[], local: boolean): Fields {
  const regions = new Map<string, Region[]>([[name, [place.map((at) => [at])]]]);
  const [unknown, joined]: [string[], string[]] = [[], []];
  let hasStatistics = false;
  for (const node of [...network.nodes].reverse()) {
    const own = regions.get(node.name);
    if (own === undefined || Object.keys(node.arguments).length === 0) continue;
    const opening = { network, values, node, place: [] };
    const statistic = isStatistic(opening);
    hasStatistics ||= statistic;
    for (const region of own) {
      for (const [source, before] of stepBack(opening, region, local && statistic, unknown)) {
        if (before.some((axis) => axis.length === 0)) continue; // nothing but padding
        regions.set(source, added(regions.get(source) ?? [], before, source, joined));
      }
    }
  }
  return { regions, unknown, joined, hasStatistics };
}

/** The regions of a node with one more: those that another holds are left out, too many become one. */
function added(known: readonly Region[], region: Region, name: string, joined: string[]): Region[] {
  if (known.some((other) => holds(other, region))) return [...known];
  const kept = [...known.filter((other) => !holds(region, other)), region];
  if (kept.length <= MOST) return kept;
  joined.push(name);
  return [hull(kept)];
}

function holds(outer: Region, inner: Region): boolean {
  return inner.every((axis, index) => {
    const places = new Set(outer[index]);
    return axis.every((at) => places.has(at));
  });
}

/** The smallest region that holds all of them. */
function hull(regions: readonly Region[]): Region {
  const [first, ...others] = regions as readonly [Region, ...Region[]];
  return first.map((axis, index) => unique([...axis, ...others.flatMap((other) => other[index]!)]));
}

/** Per node (first, behind the last) along each axis, without that of the image. */
export function spansOf({ regions }: Fields, values: Values): Map<string, Spans> {
  const spans = new Map<string, Spans>();
  for (const [name, apart] of regions) {
    const region = hull(apart);
    const kept = isOneImage(values.get(name)!) ? region.slice(1) : region;
    spans.set(
      name,
      kept.map((axis) => (axis.length === 0 ? [0, 0] : [axis[0]!, axis.at(-1)! + 1])),
    );
  }
  return spans;
}

/** Top, left, bottom, right in the input; null where nothing of it is reached. */
export function boxOf({ regions }: Fields, input: string): number[] | null {
  const apart = regions.get(input);
  if (apart === undefined) return null;
  const found = hull(apart).slice(-2);
  const [rows, columns] = found as [readonly number[], readonly number[]];
  return [rows[0]!, columns[0]!, rows.at(-1)! + 1, columns.at(-1)! + 1];
}

/** What makes a field larger than what the number can depend on, in Python's words; "" where it is exact. */
export function noteOf({ unknown, joined }: Fields): string {
  const names = [...new Set(unknown)];
  if (names.length > 0) {
    const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
    return `which of its inputs ${names.slice(0, 3).join(", ")}${more} takes is not known: all of them are counted`;
  }
  return joined.length > 0 ? `the field may be too large: branches take many different places of ${joined[0]}` : "";
}

/** Whether a node rescales whole channels by a statistic of the picture. */
function isStatistic(opening: Opening): boolean {
  const { operation } = opening.node;
  return STATISTICS.has(operation) || (COLLAPSING.has(operation) && collapses(opening));
}

/** The nodes that a region depends on, and where. `left`: leave out what a statistic takes. */
function stepBack(opening: Opening, region: Region, left: boolean, unknown: string[]): [string, Region][] {
  const { node, values } = opening;
  if (left && COLLAPSING.has(node.operation)) return [];
  if (MOVING.has(node.operation) && RULES[node.operation] === undefined) return movedBack(opening, region);
  const rule = left ? same : RULES[node.operation];
  const taken = nodesTaken(node);
  if (rule === undefined) {
    unknown.push(node.operation);
    return taken.map(([, name]) => [name, values.get(name)!.shape.map((side) => range(side))]);
  }
  const place = { opening, args: argumentsFor(opening) };
  return taken.map(([role, name]) => [name, rule(place, role, values.get(name)!.shape, region)]);
}

function nodesTaken(node: Node): [string, string][] {
  return Object.entries(node.arguments).flatMap(([role, value]) =>
    isReference(value) && "node" in value ? [[role, value.node]] : [],
  );
}

/** Whether maps of more than one place become one number per channel. */
function collapses(opening: Opening): boolean {
  const { shape } = operand(opening, "self").tensor;
  if (shape.length !== 4) return false;
  const [images, first, second, third] = shape as [number, number, number, number];
  const output = opening.values.get(opening.node.name)!.shape.join();
  const isOutput = (...wanted: number[]): boolean => wanted.join() === output;
  const maps = second * third > 1 && (isOutput(images, first) || isOutput(images, first, 1, 1));
  return maps || (first * second > 1 && (isOutput(images, third) || isOutput(images, 1, 1, third)));
}

function movedBack(opening: Opening, region: Region): [string, Region][] {
  const { node, values } = opening;
  const output = values.get(node.name)!.shape;
  if (REORDERING.has(node.operation) && region.every((axis, index) => axis.length === output[index])) {
    return nodesTaken(node).map(([, name]) => [name, values.get(name)!.shape.map((side) => range(side))]);
  }
  const { operands, marks } = sources(opening);
  const steps = strides(marks.shape);
  const picked = offsetsOf(region, steps).map((offset) => marks.data[offset]!);
  let start = 0;
  return operands.flatMap((from): [string, Region][] => {
    const [first, count] = [start, from.tensor.data.length];
    start += count;
    const own = unique(picked.filter((mark) => mark >= first && mark < first + count));
    if (!from.isNode || own.length === 0) return [];
    const places = own.map((mark) => unraveled(mark - first, from.tensor.shape));
    return [[from.name, from.tensor.shape.map((_, axis) => unique(places.map((place) => place[axis]!)))]];
  });
}

/** The offsets of every combination of a region's indices. */
function offsetsOf(region: Region, steps: readonly number[]): number[] {
  return region.reduce<number[]>(
    (found, axis, index) => found.flatMap((before) => axis.map((at) => before + at * steps[index]!)),
    [0],
  );
}

function unique(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/** The same place, broadcast as PyTorch does. */
function same(_: Place, __: string, shape: readonly number[], region: Region): Region {
  return shape.map((side, axis) => (side === 1 ? [0] : region[region.length - shape.length + axis]!));
}

function lastWhole(_: Place, __: string, shape: readonly number[], region: Region): Region {
  return [...region.slice(0, -1), range(shape.at(-1)!)];
}

function convolved({ opening, args }: Place, _: string, shape: readonly number[], region: Region): Region {
  const [outputs, perGroup, ...kernel] = operand(opening, "weight").tensor.shape as [number, number, number, number];
  const [stride, dilation] = [pairOf(args, "stride", [1, 1]), pairOf(args, "dilation", [1, 1])];
  const padding = paddingBefore(args, kernel, dilation);
  const groups = unique(region[1]!.map((channel) => Math.floor(channel / (outputs / numberOf(args, "groups", 1)))));
  const places = ([0, 1] as const).map((axis) =>
    taps(region[2 + axis]!, kernel[axis]!, [stride[axis], padding[axis]], dilation[axis], shape[2 + axis]!),
  );
  return [region[0]!, groups.flatMap((group) => range((group + 1) * perGroup, group * perGroup)), ...places];
}

function taps(
  indices: readonly number[],
  kernel: number,
  [stride, padding]: Pair,
  dilation: number,
  side: number,
): number[] {
  const places = indices.flatMap((at) => range(kernel).map((tap) => at * stride - padding + tap * dilation));
  return unique(places.filter((place) => place >= 0 && place < side));
}

function pooled({ args }: Place, _: string, shape: readonly number[], region: Region): Region {
  const { kernel, stride, padding, dilation } = poolOf(args);
  const places = ([0, 1] as const).map((axis) =>
    taps(region[2 + axis]!, kernel[axis], [stride[axis], padding[axis]], dilation[axis], shape[2 + axis]!),
  );
  return [region[0]!, region[1]!, ...places];
}

function adaptivelyPooled({ args }: Place, _: string, shape: readonly number[], region: Region): Region {
  const outputs = adaptiveSize(args);
  const places = ([0, 1] as const).map((axis) => {
    const spans = adaptiveSpans(shape[2 + axis]!, outputs[axis]);
    return unique(region[2 + axis]!.flatMap((at) => range(spans[at]!.end, spans[at]!.start)));
  });
  return [region[0]!, region[1]!, ...places];
}

function channelWhole(_: Place, __: string, shape: readonly number[], region: Region): Region {
  return [region[0]!, region[1]!, ...shape.slice(2).map((side) => range(side))];
}

function groupWhole({ args }: Place, _: string, shape: readonly number[], region: Region): Region {
  const size = shape[1]! / numberOf(args, "num_groups");
  const groups = unique(region[1]!.map((channel) => Math.floor(channel / size)));
  return [
    region[0]!,
    groups.flatMap((group) => range((group + 1) * size, group * size)),
    ...shape.slice(2).map((side) => range(side)),
  ];
}

function layerNormalised({ args }: Place, _: string, shape: readonly number[], region: Region): Region {
  const axes = numbersOf(args, "normalized_shape").length;
  return [...region.slice(0, -axes), ...shape.slice(-axes).map((side) => range(side))];
}

function multiplied(_: Place, role: string, shape: readonly number[], region: Region): Region {
  const before = outer(region, shape);
  if (role === "self") return [...before, region.at(-2)!, range(shape.at(-1)!)];
  return [...before, range(shape.at(-2)!), region.at(-1)!];
}

function scored(place: Place, role: string, shape: readonly number[], region: Region): Region {
  if (role === "attn_mask") return same(place, role, shape, region);
  return [...outer(region, shape), role === "query" ? region.at(-2)! : region.at(-1)!, range(shape.at(-1)!)];
}

function attended(_: Place, role: string, shape: readonly number[], region: Region): Region {
  if (role === "value") return [...outer(region, shape), range(shape.at(-2)!), region.at(-1)!];
  return [...outer(region, shape), region.at(-2)!, range(shape.at(-1)!)];
}

/** The leading axes of a product of matrices in one of its operands. */
function outer(region: Region, shape: readonly number[]): Region {
  const [kept, sides] = [region.slice(0, -2), shape.slice(0, -2)];
  return sides.map((side, axis) => (side === 1 ? [0] : kept[kept.length - sides.length + axis]!));
}

function reduced({ args }: Place, _: string, shape: readonly number[], region: Region): Region {
  const over = reducedAxes(args, shape.length);
  const kept = flagOf(args, "keepdim") ? region.filter((__, axis) => !over.has(axis)) : region;
  let next = 0;
  return shape.map((side, axis) => (over.has(axis) ? range(side) : kept[next++]!));
}

function alongAxis({ args }: Place, _: string, shape: readonly number[], region: Region): Region {
  const axis = axisOf(numberOf(args, "dim", -1), shape.length);
  return region.map((own, index) => (index === axis ? range(shape[axis]!) : own));
}

const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    [...Object.keys(FUNCTIONS), "add", "sub", "rsub", "mul", "div", "batch_norm", "dropout"].map((name) => [
      name,
      same,
    ]),
  ),
  conv2d: convolved,
  max_pool2d: pooled,
  avg_pool2d: pooled,
  adaptive_avg_pool2d: adaptivelyPooled,
  adaptive_max_pool2d: adaptivelyPooled,
  linear: lastWhole,
  matmul: multiplied,
  bmm: multiplied,
  attention_scores: scored,
  scaled_dot_product_attention: attended,
  instance_norm: channelWhole,
  group_norm: groupWhole,
  layer_norm: layerNormalised,
  mean: reduced,
  sum: reduced,
  amax: reduced,
  max: reduced,
  softmax: alongAxis,
  log_softmax: alongAxis,
};
