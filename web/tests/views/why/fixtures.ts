/** Answers as the Python side gives them, small. */

import { array } from "../../../src/protocol/wire.ts";
import type { Methods } from "../../../src/views/why/types.ts";

const NAMES: [string, "cam" | "gradient" | "perturbation"][] = [
  ["softmax_cam", "cam"], ["grad_cam", "cam"], ["hires_cam", "cam"], ["saliency", "gradient"], ["integrated_gradients", "gradient"],
  ["guided_backprop", "gradient"], ["occlusion", "perturbation"], ["rise", "perturbation"],
];
const both = (text: string) => ({ en: text, "zh-CN": `${text}。` });

export function methods(changes: Partial<Methods> = {}): Methods {
  return {
    methods: NAMES.map(([name, family]) => ({
      name, family, title: `${name}, somebody 2020`, needs: both("places"), cost: both("about 1"), fails: both("coarse"),
      layer: family === "cam", class_specific: true, stochastic: name === "rise", slow: name === "rise",
    })),
    recommended: { method: "integrated_gradients", layer: null, reason: both("it gained most") },
    layers: [{ name: "conv1", rows: 2, columns: 2 }, { name: "relu2", rows: 2, columns: 2 }],
    default_layer: "relu2",
    kept: { guided_backprop: { verdict: "fails the sanity check", layer: "", images: 32, stale: false, against: false } },
    damaged: {},
    of_steps: ["grad_cam"],
    ...changes,
  };
}

export function heat(images: number, values: number[] = [0, 85, 170, 255]) {
  const floats = (value: number) => array(new Float32Array(images).fill(value));
  return {
    maps: array(Uint8Array.from(Array.from({ length: images }, () => values).flat()), [images, 2, 2]),
    low: floats(0), high: floats(1), smallest: floats(0), largest: floats(1), full: floats(1),
  };
}

export function maps(method: string, images: number, changes: object = {}) {
  return {
    method, layer: "relu2", seconds: 0.1, evaluations: 2, options: {}, seed: 0, notes: [], targets: array(new Int32Array(images)), against: null,
    probabilities: null, error: null, maps: heat(images), random: heat(images), edges: heat(images), evidence: null, ...changes,
  };
}

export function evidence(method: string, names: string[], changes: object = {}) {
  return {
    method, layer: "relu2", title: `${method}, somebody 2020`, verdict: "better than random", stale: false, names, gain: 0.3, gain_interval: [0.2, 0.4],
    p_value: 0.001, seconds: 1, reasons: [both("it changes the score more")], curves: [
      { name: both("deletion"), share: both("share"), columns: ["explanation", "random", "edge"], points: array(Float32Array.from([0, 1, 1, 1, 1, 0.1, 0.5, 0.4]), [2, 4]) },
    ],
    figures: [{ name: both("deletion"), unit: both("probability"), value: 0.2, low: 0.1, high: 0.3, better: "lower", random: { value: 0.5, advantage: 0.3, interval: [0.2, 0.4] }, edge: null }],
    protocols: [[both("deletion"), "steps 20"]], skipped: [[both("completeness"), "not promised"]], notes: ["few images"], facts: [],
    shown: { names, pixels: array(new Uint8Array(names.length * 4), [names.length, 2, 2, 1]), maps: heat(names.length), random: heat(names.length), edges: heat(names.length) },
    ...changes,
  };
}

export const SUBJECT = {
  classes: ["<img src=x onerror=alert(1)>", "dog"], groups: { probe: 3, test: 9 }, first: "probe/0", model_missing: null, run: { steps: [0, 10] },
};

export function answers(images: string[]) {
  const count = images.length;
  return {
    names: images.map((id) => `<b>${id}</b>`), labels: array(new Int32Array(count)), pixels: array(new Uint8Array(count * 4).fill(99), [count, 2, 2, 1]),
    best: array(Int32Array.from({ length: 2 * count }, (_, at) => at % 2), [count, 2]),
    shares: array(Float32Array.from({ length: 2 * count }, (_, at) => (at % 2 ? 0.1 : 0.9)), [count, 2]),
  };
}
