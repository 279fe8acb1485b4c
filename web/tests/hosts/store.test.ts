import { expect, test } from "vitest";
import { store } from "../../src/hosts/store.ts";

test("who listens to a key hears of its changes, and only of changes", () => {
  const model = store({ view: "flow", selection: { image: "a" } }, () => {});
  const heard: string[] = [];
  const listen = (): void => void heard.push("view");
  model.on("change:view", listen);
  model.on("change:selection", () => heard.push("selection"));
  model.set("view", "film");
  model.set("view", "film");
  model.set("selection", { image: "a" });
  model.set("selection", { image: "b" });
  expect(heard).toEqual(["view", "selection"]);
  model.off("change:view", listen);
  model.set("view", "why");
  expect(heard).toHaveLength(2);
  expect(model.get("view")).toBe("why");
});

test("a listener may go while others are told", () => {
  const model = store({}, () => {});
  const heard: string[] = [];
  const first = (): void => {
    heard.push("first");
    model.off("msg:custom", second);
  };
  const second = (): void => void heard.push("second");
  model.on("msg:custom", first);
  model.on("msg:custom", second);
  model.hear({ kind: "changed" });
  model.hear({ kind: "changed" });
  expect(heard).toEqual(["first", "second", "first"]);
});
