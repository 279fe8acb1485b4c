/** Class colours as numbers, for drawing on canvases: the style sheet's variables in the theme of a place. */

import { CLASS_COLOURS } from "./colours.ts";

export interface Palette {
  /** RGB of each class colour, one after the other. */
  classes: Uint8Array;
  ink: string;
  paper: string;
  accent: string;
  faint: [number, number, number];
}

export function rgb(colour: string): [number, number, number] {
  const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(colour.trim());
  if (short) return [1, 2, 3].map((at) => 17 * parseInt(short[at] ?? "0", 16)) as [number, number, number];
  const long = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour.trim());
  if (long) return [1, 2, 3].map((at) => parseInt(long[at] ?? "0", 16)) as [number, number, number];
  const numbers = /^rgba?\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)/.exec(colour.trim());
  return numbers ? [Number(numbers[1]), Number(numbers[2]), Number(numbers[3])] : [0, 0, 0];
}

export function palette(place: Element): Palette {
  const style = getComputedStyle(place);
  const read = (name: string): string => style.getPropertyValue(name);
  const classes = new Uint8Array(3 * CLASS_COLOURS);
  for (let index = 0; index < CLASS_COLOURS; index++) classes.set(rgb(read(`--class-${index}`)), 3 * index);
  return { classes, ink: read("--ink"), paper: read("--paper"), accent: read("--accent"), faint: rgb(read("--faint")) };
}
