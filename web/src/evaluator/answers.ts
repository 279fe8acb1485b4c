/**
 * The questions that a report answers by itself, without a live model: the answers have the keys of
 * `opsin.reporting.views.flow` and `response`.
 */

import { type Answer, array, type NdArray, type Value } from "../protocol/wire.ts";
import { type Decode, decodeFile } from "./images/decode.ts";
import type { Move } from "./images/moving.ts";
import { inMode, type Pixels } from "./images/pixels.ts";
import { resize } from "./images/resize.ts";
import { softmax } from "./operations/norms.ts";
import { type Node, run, type Values } from "./run.ts";
import { levels, mapShape, type MapShape, ranges } from "./shown.ts";
import { type Offline, pixelsOf, type Seen, type Subject, subjectOf } from "./subject.ts";
import type { Tensor } from "./tensor.ts";
import { columnsOf, openUnit, reachOf } from "./traces/trace.ts";

export type Args = Record<string, unknown>;
/** Answers a question, or says by null that it is not for it. */
export type Answerer = (question: string, args: Args) => Promise<Answer> | null;

type Answering = (subject: Subject, args: Args) => Answer | Promise<Answer>;

const ORIGINAL_SIDE = 320;
const SIDE = 56;
const LONGEST_SILENCE = 40; // milliseconds of computing until the page may draw

const ABOUT_A_PICTURE: Readonly<Record<string, Answering>> = { input, maps, trace, response };

/** Who answers for a network that a report carries. `decode` opens dropped files. */
export function answerer(offline: Offline, decode: Decode = decodeFile): Answerer {
  const subject = subjectOf(offline);
  return (question, args) => {
    if (question === "put") return put(subject, args, decode);
    if (question === "fields") return promised(() => fields(subject, args));
    const answering = Object.hasOwn(ABOUT_A_PICTURE, question) ? ABOUT_A_PICTURE[question] : undefined;
    // of pictures that are not carried the report holds what was stored
    if (answering === undefined || subject.picture(String(args.image)) === undefined) return null;
    return promised(() => answering(subject, args));
  };
}

async function promised(answer: () => Answer | Promise<Answer>): Promise<Answer> {
  return answer();
}

async function put(subject: Subject, args: Args, decode: Decode): Promise<Answer> {
  const [pixels, file] = [
    args.pixels as NdArray<Uint8Array> | null | undefined,
    args.file as NdArray<Uint8Array> | null | undefined,
  ];
  if (!pixels === !file)
    throw new Error(
      `put was given ${pixels ? "both pixels and a file" : "neither pixels nor a file"}; expected one of them`,
    );
  const name = String(args.name ?? "");
  const kept = subject.put(pixels ? pixelsOf(pixels) : await decode(file!.data, name), name);
  return { id: kept.id, name: kept.name, size: [kept.pixels.height, kept.pixels.width] };
}

function pictureOf(subject: Subject, args: Args): Seen {
  const found = subject.picture(String(args.image));
  if (found === undefined)
    throw new Error(`the picture ${String(args.image)} is not kept any more; draw or drop it again`);
  return found;
}

function moveOf(args: Args): Move {
  const shift = (args.shift as [number, number] | undefined) ?? [0, 0];
  return { shift, rotate: Number(args.rotate ?? 0), scale: Number(args.scale ?? 1) };
}

function input(subject: Subject, args: Args): Answer {
  const picture = pictureOf(subject, args);
  const { tensor, pixels, geometry } = subject.given(picture, moveOf(args));
  const { mean, std } = subject.offline.preprocess;
  return {
    image: picture.id,
    name: picture.name,
    label: picture.label,
    original: asArray(original(picture.pixels)),
    original_size: [picture.pixels.height, picture.pixels.width],
    geometry: [...geometry],
    pixels: asArray(pixels),
    tensor: array(tensor.data, [...tensor.shape]),
    mean: [...mean],
    std: [...std],
  };
}

/** The picture, no larger than it is shown. */
function original(pixels: Pixels): Pixels {
  const share = ORIGINAL_SIDE / Math.max(pixels.height, pixels.width);
  if (share >= 1) return pixels;
  const [height, width] = [pixels.height, pixels.width].map((side) => Math.max(1, Math.round(side * share))) as [
    number,
    number,
  ];
  return resize(
    inMode(pixels, "RGB"),
    height,
    width,
    { top: 0, left: 0, bottom: pixels.height, right: pixels.width },
    "lanczos",
  );
}

function asArray({ height, width, channels, data }: Pixels): NdArray {
  return array(data, [height, width, channels]);
}

function maps(subject: Subject, args: Args): Answer {
  const values = subject.values(pictureOf(subject, args), moveOf(args));
  const logits = logitsOf(subject, values);
  const layers = wanted(subject, args.layers ?? "all").map((node) => [
    node.name,
    mapsOf(node, values.get(node.name)!, args),
  ]);
  return {
    probabilities: array(probabilitiesOf(logits)),
    logits: array(logits),
    layers: Object.fromEntries(layers) as Answer,
  };
}

function wanted(subject: Subject, layers: unknown): readonly Node[] {
  if (layers === "all") return subject.offline.nodes;
  return (Array.isArray(layers) ? layers : [layers]).map((name) => subject.node(String(name)));
}

function mapsOf(node: Node, value: Tensor, args: Args): Answer {
  const [data, shape] = chosen(node, value.data, args.channels as number[] | null | undefined);
  const size = [shape[1], shape[2]];
  if (args.exact === true) {
    const { low, high } = ranges(data, shape[0]);
    return { values: array(data, [...shape]), low: array(low), high: array(high), size };
  }
  const side = args.side === undefined ? SIDE : (args.side as number | null);
  const found = levels(data, shape, side);
  return { values: array(found.values, [...found.shape]), low: array(found.low), high: array(found.high), size };
}

/** The maps of some channels of a node, or of all. */
function chosen(node: Node, data: Float32Array, channels: number[] | null | undefined): [Float32Array, MapShape] {
  const shape = mapShape(node.shape);
  if (channels === null || channels === undefined) return [data, shape];
  const plane = shape[1] * shape[2];
  const found = new Float32Array(channels.length * plane);
  channels.forEach((channel, at) => {
    if (!(channel >= 0 && channel < shape[0]))
      throw new Error(`channel ${channel} of ${node.name} was asked for; it has ${shape[0]}`);
    found.set(data.subarray(channel * plane, (channel + 1) * plane), at * plane);
  });
  return [found, [channels.length, shape[1], shape[2]]];
}

function logitsOf(subject: Subject, values: Values): Float32Array {
  return values.get(subject.offline.output)!.data;
}

function probabilitiesOf(logits: Float32Array): Float32Array {
  return softmax({ shape: [logits.length], data: logits }, 0).data;
}

function trace(subject: Subject, args: Args): Answer {
  const values = subject.values(pictureOf(subject, args), moveOf(args));
  const [node, unit] = [subject.node(String(args.layer)), args.unit as number[]];
  const opened = openUnit(subject.offline, values, node, unit);
  const reach = reachOf(subject.offline, values, node, unit);
  const columns = columnsOf(subject.offline, opened.terms);
  const count = opened.terms.length;
  return {
    layer: node.name,
    operation: node.operation,
    unit: [...unit],
    value: opened.value,
    opens: opened.opens,
    note: opened.note,
    formula: opened.formula,
    bias: opened.bias,
    total: opened.total,
    magnitude: opened.magnitude,
    error: opened.error,
    agrees: opened.agrees,
    settings: node.settings as Value,
    details: opened.details as Value,
    shape: [...node.shape],
    field_note: reach.note,
    receptive_field: reach.receptiveField,
    boxes: reach.boxes as Answer,
    terms: {
      layers: columns.layers,
      layer: array(columns.layer),
      position: array(columns.position, [count, 3]),
      input: array(columns.input),
      weight: array(columns.weight),
      product: array(columns.product),
      weight_layers: columns.weightLayers,
      weight_layer: array(columns.weightLayer),
      weight_position: array(columns.weightPosition, [count, columns.weightAxes]),
      padding: array(columns.padding),
    },
  };
}

/** What a unit can depend on follows from the shapes alone: any picture tells it. */
function fields(subject: Subject, args: Args): Answer {
  const [node, unit] = [subject.node(String(args.layer)), args.unit as number[]];
  const reach = reachOf(subject.offline, blankValues(subject), node, unit);
  return { receptive_field: reach.receptiveField, note: reach.unknown.join(", "), boxes: reach.boxes as Answer };
}

const blankPasses = new WeakMap<Subject, Values>();

function blankValues(subject: Subject): Values {
  const known = blankPasses.get(subject);
  if (known !== undefined) return known;
  const { shape } = subject.offline.nodes[0]!;
  const values = run(subject.offline, {
    shape,
    data: new Float32Array(shape.reduce((product, side) => product * side, 1)),
  });
  blankPasses.set(subject, values);
  return values;
}

/** The answers while one way of moving the picture takes several values and the others stay. */
async function response(subject: Subject, args: Args): Promise<Answer> {
  const [picture, still, values] = [pictureOf(subject, args), moveOf(args), args.values as number[]];
  const rows: Float32Array[] = [];
  let since = performance.now();
  for (const value of values) {
    const { tensor } = subject.given(picture, changed(still, String(args.change), value));
    rows.push(probabilitiesOf(logitsOf(subject, run(subject.offline, tensor))));
    if (performance.now() - since > LONGEST_SILENCE) {
      await new Promise((resolve) => setTimeout(resolve));
      since = performance.now();
    }
  }
  const classes = rows[0]?.length ?? 0;
  const probabilities = new Float32Array(rows.length * classes);
  rows.forEach((row, at) => probabilities.set(row, at * classes));
  return {
    change: String(args.change),
    values: array(Float32Array.from(values)),
    probabilities: array(probabilities, [rows.length, classes]),
  };
}

function changed(move: Move, change: string, value: number): Move {
  switch (change) {
    case "shift_y":
      return { ...move, shift: [value, move.shift[1]] };
    case "shift_x":
      return { ...move, shift: [move.shift[0], value] };
    case "rotate":
      return { ...move, rotate: value };
    case "scale":
      return { ...move, scale: value };
    default:
      throw new Error(`the change ${change} was asked for; expected shift_y, shift_x, rotate or scale`);
  }
}
