/** Positions of the largest values, largest first; equal ones in their order. */
export function likeliest(values: readonly number[], count: number): number[] {
  const order = values.map((_, index) => index);
  return order.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0)).slice(0, count);
}
