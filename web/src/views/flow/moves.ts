/** The ways in which the input can be moved: their sliders and the values of their response curves. */

import type { Change, Move } from "./answers.ts";

export interface Slider {
  change: Change;
  low: number;
  high: number;
  step: number;
}

export const CHANGES: readonly Change[] = ["shift_x", "shift_y", "rotate", "scale"];

export function sliderOf(change: Change, side: number): Slider {
  const reach = Math.max(1, Math.round(side * 0.4));
  if (change === "rotate") return { change, low: -90, high: 90, step: 1 };
  if (change === "scale") return { change, low: 0.4, high: 2.5, step: 0.05 };
  return { change, low: -reach, high: reach, step: 1 };
}

export function valueOf(move: Move, change: Change): number {
  if (change === "shift_y") return move.shift[0];
  return change === "shift_x" ? move.shift[1] : move[change];
}

export function withValue(move: Move, change: Change, value: number): Move {
  if (change === "shift_y") return { ...move, shift: [value, move.shift[1]] };
  return change === "shift_x" ? { ...move, shift: [move.shift[0], value] } : { ...move, [change]: value };
}

/** Evenly spaced values over a slider, its ends among them. Large inputs cost time: fewer. */
export function curveValues(slider: Slider, side: number): number[] {
  const count = side <= 64 ? 37 : 13;
  const span = (slider.high - slider.low) / (count - 1);
  return Array.from({ length: count }, (_, index) => Number((slider.low + index * span).toFixed(4)));
}
