/** Numbers as texts. */

/** Three or four significant figures, never in the way: 1,234 · 12.3 · 0.0012 · 1.2e-7. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en").replace("-", "−");
  const text = size !== 0 && size < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(3)));
  return text.replace(/^-/, "−");
}

/** A share as per cent with one decimal; never 100 % for less. */
export function percent(share: number, language: string): string {
  const value = share < 1 ? Math.min(100 * share, 99.9) : 100;
  return `${value.toFixed(1)}${language === "en" ? " " : ""}%`;
}

export const compact = (value: number): string =>
  value >= 1e6 ? `${(value / 1e6).toPrecision(3)}M` : value >= 1e3 ? `${(value / 1e3).toPrecision(3)}k` : String(value);
