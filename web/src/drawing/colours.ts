/** Colour maps and class colours: the same numbers as `opsin.reporting.figures.colours`. */

/** Entries of a colour map; a level is an index. */
export const LEVELS = 255;

// Okabe and Ito (2008), "Color Universal Design"; the ninth class takes the first colour again
export const CLASS_COLOURS = 8;
export const classColour = (index: number): string => `var(--class-${index % CLASS_COLOURS})`;

/** Near black over violet and orange to pale yellow, in even steps of perceived lightness; RGB per level. */
export const SEQUENTIAL = table((index) => {
  const t = index / (LEVELS - 1);
  return { lightness: 0.16 + 0.81 * t, chroma: 0.03 + 0.125 * Math.sin(Math.PI * t), hue: 285 + 180 * t };
});

/** Blue over a dark neutral to orange; entry 127 is zero. */
export const DIVERGING = table((index) => {
  const t = -1 + (2 * index) / (LEVELS - 1);
  const size = Math.abs(t);
  return { lightness: 0.22 + 0.62 * size, chroma: 0.14 * size ** 0.7, hue: t < 0 ? 245 : 62 };
});

/** A CSS gradient of a colour map, for legends. */
export function gradient(map: Uint8Array, direction = "to right"): string {
  const stops = Array.from({ length: 17 }, (_, index) => colour(map, index / 16));
  return `linear-gradient(${direction}, ${stops.join(", ")})`;
}

/** The CSS colour of a colour map at a share 0..1. */
export function colour(map: Uint8Array, share: number): string {
  const at = 3 * Math.round(Math.min(Math.max(share, 0), 1) * (LEVELS - 1));
  return `rgb(${map[at]}, ${map[at + 1]}, ${map[at + 2]})`;
}

/** Black or white, whichever is read better on a colour of the map: by contrast of relative luminance (WCAG 2.2). */
export function inkOn(map: Uint8Array, share: number): string {
  const at = 3 * Math.round(Math.min(Math.max(share, 0), 1) * (LEVELS - 1));
  const linear = [0, 1, 2].map((channel) => (((map[at + channel] ?? 0) / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!;
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) ? "#000" : "#fff";
}

interface Tone {
  lightness: number;
  chroma: number;
  hue: number;
}

function table(tone: (index: number) => Tone): Uint8Array {
  const colours = new Uint8Array(3 * LEVELS);
  for (let index = 0; index < LEVELS; index++) {
    const { lightness, chroma, hue } = tone(index);
    const angle = (hue * Math.PI) / 180;
    colours.set(srgb(lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)), 3 * index);
  }
  return colours;
}

/** OKLab to 8-bit sRGB, clipped (https://bottosson.github.io/posts/oklab). */
function srgb(lightness: number, a: number, b: number): [number, number, number] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    encoded(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    encoded(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    encoded(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

function encoded(linear: number): number {
  const value = Math.min(Math.max(linear, 0), 1);
  return Math.round(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));
}
