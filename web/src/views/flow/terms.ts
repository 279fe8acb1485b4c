/** Terms of an arithmetic, arranged for the eye: windows of a channel, and the largest of many. */

import type { Terms, Unit } from "./answers.ts";

export interface Term {
  /** Where it stands among the terms. */
  index: number;
  layer: string;
  position: Unit;
  input: number;
  /** null where a function is applied instead. */
  weight: number | null;
  product: number;
  padding: boolean;
}

/** The terms of one input channel. */
export interface Part {
  layer: string;
  channel: number;
  terms: Term[];
  sum: number;
  /** The window as rows of terms; null where places are missing. */
  window: (Term | null)[][];
}

export const countOf = (terms: Terms): number => terms.product.data.length;

export function termAt(terms: Terms, index: number): Term {
  const weight = terms.weight.data[index] ?? NaN;
  return {
    index,
    layer: terms.layers[terms.layer.data[index] ?? 0] ?? "",
    position: Array.from(terms.position.data.subarray(3 * index, 3 * index + 3)) as Unit,
    input: terms.input.data[index] ?? NaN,
    weight: Number.isNaN(weight) ? null : weight,
    product: terms.product.data[index] ?? NaN,
    padding: Boolean(terms.padding.data[index]),
  };
}

/** The terms with the largest magnitudes, largest first. */
export function largest(terms: Terms, count: number): Term[] {
  const products = terms.product.data;
  const order = Array.from(products.keys()).sort((a, b) => Math.abs(products[b] ?? 0) - Math.abs(products[a] ?? 0));
  return order.slice(0, count).map((index) => termAt(terms, index));
}

/** Terms by input channel, those that add most first; equal ones in their order. */
export function partsOf(terms: Terms): Part[] {
  const found = new Map<string, Term[]>();
  for (let index = 0; index < countOf(terms); index++) {
    const term = termAt(terms, index);
    const key = `${term.layer} ${term.position[0]}`;
    const list = found.get(key);
    if (list) list.push(term);
    else found.set(key, [term]);
  }
  const parts = [...found.values()].map((list) => ({
    layer: list[0]?.layer ?? "",
    channel: list[0]?.position[0] ?? 0,
    terms: list,
    sum: list.reduce((sum, term) => sum + term.product, 0),
    window: windowOf(list),
  }));
  return parts.sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
}

/** Whether the terms of each channel are a window of rows and columns: convolutions and pools. */
export const isWindowed = (operation: string): boolean => /^(conv\d|conv_transpose|.*pool)/.test(operation);

function windowOf(list: readonly Term[]): (Term | null)[][] {
  const rows = [...new Set(list.map((term) => term.position[1]))].sort((a, b) => a - b);
  const columns = [...new Set(list.map((term) => term.position[2]))].sort((a, b) => a - b);
  const found = rows.map(() => columns.map((): Term | null => null));
  for (const term of list) {
    const row = found[rows.indexOf(term.position[1])];
    if (row) row[columns.indexOf(term.position[2])] = term;
  }
  return found;
}
