/** A number in at most six signs, for the cells of a window: the whole number stands in its tool tip. */
export function short(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const rounded = Number(value.toFixed(digits));
  const text = rounded === 0 && value !== 0 ? value.toExponential(0) : String(rounded);
  return text.replace(/^(-?)0\./, "$1.").replace(/^-/, "\u2212");
}

/** Two significant digits, for captions below narrow columns. */
export const rough = (value: number): string => roughly(value).replace(/^(-?)0\./, "$1.").replace(/^-/, "\u2212");

/** Six significant digits: enough to see a sum add up. */
export const precise = (value: number): string => String(Number(value.toPrecision(6))).replace(/^-/, "\u2212");

/** A layer's name in at most so many signs: its last part, and of that the beginning and the number that tells it apart. */
export function squeezed(name: string, most: number): string {
  if (name.length <= most) return name;
  const last = name.slice(name.lastIndexOf(".") + 1);
  if (last.length <= most) return last;
  const number = /_?\d*$/.exec(last)?.[0] ?? "";
  return number.length > most - 2 ? last : `${last.slice(0, most - 1 - number.length)}…${number}`;
}

function roughly(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return String(Math.round(value));
  return size !== 0 && size < 1e-3 ? value.toExponential(0) : String(Number(value.toPrecision(2)));
}
