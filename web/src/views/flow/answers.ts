/** The answers that this view draws, as `opsin.reporting.views.flow` documents them. */

import type { NdArray } from "../../protocol/wire.ts";

export type Unit = [number, number, number];
/** First and behind the last of channels, rows and columns. */
export type Box = [number, number, number, number, number, number];
/** Top, left, bottom, right. */
export type Rectangle = [number, number, number, number];

export interface SubjectAnswer {
  name: string;
  label: string;
  classes: string[];
  input: { channels: number | null; height: number | null; width: number | null; mode: string | null } | null;
  model_missing: string | null;
  /** Null of a model that no run trained. */
  run: object | null;
  groups: Record<string, number>;
  first: string | null;
}

export interface Move {
  shift: [number, number];
  rotate: number;
  scale: number;
}

export const STILL: Move = { shift: [0, 0], rotate: 0, scale: 1 };

export interface PutAnswer {
  id: string;
  name: string;
  size: [number, number];
}

export interface InputAnswer {
  image: string;
  name: string;
  label: number | null;
  original: NdArray;
  original_size: [number, number];
  geometry: Rectangle;
  pixels: NdArray;
  tensor: NdArray;
  mean: number[];
  std: number[];
}

export interface GraphNode {
  name: string;
  module: string;
  operation: string;
  inputs: string[];
  shape: number[];
  settings: Record<string, unknown>;
  weights: Record<string, string>;
  opens: boolean;
  output: string;
}

export interface Failed {
  node: string;
  module: string;
  operation: string;
  message: string;
  inputs: string[];
}

export interface GraphAnswer {
  nodes: GraphNode[];
  output: string;
  failed: Failed | null;
  exported: boolean;
  note: string;
  parameters: Record<string, number[]>;
}

/** Maps of one layer; `values` uint8 stands for low..high of its channel. */
export interface LayerMaps {
  values: NdArray;
  low: NdArray;
  high: NdArray;
  size: [number, number];
  /** The channels that there are; undefined: all. */
  held?: ReadonlySet<number>;
}

export interface MapsAnswer {
  probabilities: NdArray | null;
  logits: NdArray | null;
  layers: Record<string, LayerMaps>;
}

export interface Terms {
  layers: string[];
  layer: NdArray;
  position: NdArray;
  input: NdArray;
  weight: NdArray;
  product: NdArray;
  weight_layers: string[];
  weight_layer: NdArray;
  weight_position: NdArray;
  padding: NdArray;
}

export interface TraceAnswer {
  layer: string;
  operation: string;
  unit: Unit;
  value: number | null;
  opens: boolean;
  note: string;
  formula: string;
  bias: number;
  total: number | null;
  magnitude: number;
  error: number | null;
  agrees: boolean;
  settings: Record<string, unknown>;
  details: Record<string, unknown>;
  shape: number[];
  receptive_field: Rectangle | null;
  field_note: string;
  boxes: Record<string, Box>;
  terms: Terms;
}

export interface FieldsAnswer {
  receptive_field: Rectangle | null;
  note: string;
  boxes: Record<string, Box>;
}

export type Change = "shift_y" | "shift_x" | "rotate" | "scale";

export interface ResponseAnswer {
  change: Change;
  values: NdArray;
  probabilities: NdArray;
}

/** The shape (channels, rows, columns) as which a node is shown: the twin of `shown.map_shape`. */
export function mapShape(shape: readonly number[]): Unit {
  if (shape.length < 2) return [shape[0] ?? 1, 1, 1];
  const leading = shape.slice(0, -2).reduce((product, length) => product * length, 1);
  return [leading, shape.at(-2) ?? 1, shape.at(-1) ?? 1];
}
