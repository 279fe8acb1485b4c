/** What a tensor is called: the path that a person can type. */

/** `layer3.1.conv2` as `model.layer3[1].conv2`, with the unit behind it. */
export function tensorPath(layer: string | null, channel: number | null, unit: readonly number[] | null): string {
  if (layer === null) return "model";
  const parts = layer.split(".").map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`));
  const at = unit ?? (channel === null ? null : [channel]);
  return `model${parts.join("")}${at ? `[${at.join(", ")}]` : ""}`;
}

/** A shape as it is printed. */
export const shapeText = (shape: readonly number[]): string => (shape.length ? shape.join(" × ") : "1");
