import { expect, test } from "vitest";
import { colour, DIVERGING, inkOn, SEQUENTIAL } from "../../src/drawing/colours.ts";

/** Relative luminance by WCAG 2.2, with its linear part near black. */
function luminance(text: string): number {
  const [red = 0, green = 0, blue = 0] = (text.match(/\d+/g) ?? []).map((part) => {
    const value = Number(part) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

test("numbers can be read on every colour of both maps", () => {
  for (const map of [SEQUENTIAL, DIVERGING]) {
    for (let level = 0; level <= 254; level++) {
      const ground = luminance(colour(map, level / 254));
      const ink = inkOn(map, level / 254) === "#000" ? 0 : 1;
      const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
      expect(contrast).toBeGreaterThanOrEqual(4.5);
    }
  }
});
