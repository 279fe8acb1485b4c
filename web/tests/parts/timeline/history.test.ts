import { expect, test } from "vitest";
import {
  alarmsOf, eventsOf, lastUpTo, merged, nearest, reading, shownStep, valueUpTo,
} from "../../../src/parts/timeline/history.ts";
import { lossLine, place } from "../../../src/parts/timeline/line.ts";
import { interval } from "../../../src/parts/timeline/player.svelte.ts";
import { eventText } from "../../../src/parts/timeline/words.ts";
import { type Key, say, type Values } from "../../../src/language/say.ts";
import { lines } from "./lines.ts";

test("lines that come one after the other are the same as all at once", () => {
  const whole = merged(null, lines(0, 9));
  for (let first = 1; first < 9; first++) {
    for (let second = first; second < 9; second++) {
      const parts = merged(merged(merged(null, lines(0, first)), lines(first, second)), lines(second, 9));
      expect(parts).toEqual(whole);
    }
  }
});

test("a training that went back begins anew", () => {
  const before = merged(null, lines(0, 9));
  expect(merged(before, lines(0, 2))).toEqual(merged(null, lines(0, 2)));
});

test("lines that do not join are not taken for the next ones", () => {
  // planted: were the start not looked at, the second line would be counted twice
  const history = merged(merged(null, lines(0, 4)), lines(4, 6));
  expect([...history.step]).toEqual([0, 10, 20, 30, 40, 50]);
  expect(history.events).toHaveLength(1);
});

test("a column that begins later has no values before", () => {
  const history = merged(merged(null, lines(0, 3)), lines(3, 9));
  expect(history.gradients.late).toHaveLength(9);
  expect([...history.gradients.late!.slice(0, 5)].every(Number.isNaN)).toBe(true);
  expect(history.dead.conv!.total).toBe(8);
});

test("positions among ascending steps", () => {
  const steps = [0, 100, 250];
  expect([-1, 0, 99, 100, 249, 250, 900].map((step) => lastUpTo(steps, step))).toEqual([-1, 0, 0, 1, 1, 2, 2]);
  expect([-5, 49, 51, 174, 176, 900].map((step) => nearest(steps, step))).toEqual([0, 0, 1, 1, 2, 2]);
  expect(nearest([], 3)).toBe(-1);
  expect(nearest([7], 3)).toBe(0);
  expect(shownStep(steps, null)).toBe(250);
  expect(shownStep(steps, 120)).toBe(100);
  expect(shownStep([], 120)).toBeNull();
});

test("a value is the newest that is known", () => {
  expect(valueUpTo([0, 10, 20], [1, NaN, 3], 19)).toBe(1);
  expect(valueUpTo([0, 10, 20], [NaN, NaN, 3], 19)).toBeNaN();
});

test("what is told of a step", () => {
  const history = merged(null, lines(0, 9, {
    alarms: [{ step: 40, kind: "over-fitting", grave: true, message: "" }],
    events: [{ step: 20, kind: "nan", grave: true, message: "loss nan", layer: "fc" }, { step: 5, kind: "dead", grave: false, message: "" }],
  }));
  expect(reading(history, 0)).toMatchObject({ epoch: 0, loss: NaN, accuracy: NaN, gradient: 3, dead: 0, channels: 8, alarms: [] });
  const at = reading(history, 50);
  expect(at).toMatchObject({ epoch: 2, accuracy: 0.5, validationLoss: 1.5, dead: 1, gradients: { conv: 8, late: 4 } });
  expect(at.gradient).toBeCloseTo(Math.hypot(8, 4));
  expect(at.alarms.map((alarm) => alarm.step)).toEqual([20, 40]);
  expect(reading(history, 30).alarms).toHaveLength(1);
  expect(alarmsOf(history)).toHaveLength(2);
  expect(eventsOf(history).map((event) => event.step)).toEqual([5, 20, 40]);
});

test("snapshots stand at even distances", () => {
  expect([0, 50, 100, 175, 250, 300].map((step) => place([0, 100, 250], step))).toEqual([0, 0.25, 0.5, 0.75, 1, 1]);
  expect(place([0], 10)).toBe(0);
  expect(place([50, 100], 10)).toBe(0);
});

test("the loss as a line: the highest above, what is not known left out", () => {
  const history = merged(null, lines(0, 7));
  expect(lossLine(history)).toMatch(/^M50\.00 0\.00L100\.00 100\.00$/);
  expect(lossLine(merged(null, lines(0, 1)))).toBe("");
});

test("a film takes six seconds, one of few steps less; calm where little is to move", () => {
  expect(interval(200, true)).toBe(33);
  expect(interval(60, true)).toBe(100);
  expect(interval(3, true)).toBe(250);
  expect(interval(200, false)).toBe(600);
});

test.each(["en", "zh-CN"] as const)("what happened, in words: %s", (language) => {
  const tell = (key: Key, values?: Values): string => say(language, key, values);
  const base = { step: 1, grave: true, message: "<b>as it is</b>" };
  const texts = [
    eventText(tell, { ...base, kind: "dead", layer: "conv1", count: 11, channels: [0, 1, 2] }, language),
    eventText(tell, { ...base, kind: "revived", layer: "conv1", count: 1, channels: [4] }, language),
    eventText(tell, { ...base, kind: "nan", layer: "fc" }, language),
    eventText(tell, { ...base, kind: "forgotten", classes: ["cat"], best: 0.9, now: 0.25 }, language),
    eventText(tell, { ...base, kind: "swapped", classes: ["cat", "dog"] }, language),
    eventText(tell, { ...base, kind: "over-fitting" }, language),
  ];
  expect(texts[0]).toContain("0, 1, 2 …");
  expect(texts[1]).not.toContain("…");
  expect(texts[3]).toMatch(/cat.*90\.0.*25\.0/);
  expect(texts[4]).toMatch(/cat.*dog/);
  expect(texts.join("")).not.toContain("{");
  // of a kind that is not known the recorded words are shown
  expect(eventText(tell, { ...base, kind: "other" }, language)).toBe("<b>as it is</b>");
});
