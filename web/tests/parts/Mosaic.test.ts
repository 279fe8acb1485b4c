import { flushSync, mount, unmount } from "svelte";
import { afterEach, expect, test, vi } from "vitest";
import Mosaic from "../../src/parts/Mosaic.svelte";
import { viewContext } from "../../src/protocol/context.svelte.ts";
import { fakeModel } from "../protocol/fake.ts";
import { browserParts } from "./host.ts";

browserParts();
let close = (): void => {};
afterEach(() => close());

const values = Uint8Array.from({ length: 5 * 4 }, (_, index) => index * 12);
const maps = Array.from({ length: 5 }, (_, index) => ({ values, start: 4 * index, rows: 2, columns: 2, low: 0, high: 255 }));

function scene(more: object = {}): { place: HTMLElement; choose: ReturnType<typeof vi.fn> } {
  const place = document.createElement("div");
  const context = viewContext(fakeModel());
  const choose = vi.fn();
  const props = { context, maps, rows: 2, columns: 2, label: "Maps of conv", name: (index: number) => `channel ${index}`, range: null, choose, across: 3, ...more };
  const component = mount(Mosaic, { target: place, props });
  close = () => {
    void unmount(component);
    context.close();
  };
  flushSync();
  return { place, choose };
}

test("arrows walk over the maps and stop at the ends", () => {
  const { place, choose } = scene({ chosen: 1 });
  const slider = place.querySelector("[role=slider]")!;
  expect(slider.getAttribute("aria-valuetext")).toBe("channel 1: 48 to 84");
  for (const key of ["ArrowRight", "ArrowLeft", "End", "Home", "x"]) {
    slider.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  }
  expect(choose.mock.calls.map(([index]) => index)).toEqual([2, 0, 4, 0]);
});

test("arrows with Shift belong to others", () => {
  const { place, choose } = scene({ chosen: 1 });
  place.querySelector("[role=slider]")!.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", shiftKey: true }));
  expect(choose).not.toHaveBeenCalled();
});

test("as a table it holds the smallest, largest and mean value of every map", () => {
  const { place, choose } = scene({ table: true });
  const cells = [...place.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent!.trim()));
  expect(cells[1]).toEqual(["channel 1", "48", "84", "66"]);
  place.querySelectorAll<HTMLButtonElement>("tbody button")[2]!.click();
  expect(choose).toHaveBeenCalledWith(2, 0, 0);
});

test("a picture that nothing can be chosen in is an image", () => {
  const { place } = scene({ choose: undefined });
  expect(place.querySelector("[role=img]")?.getAttribute("aria-label")).toBe("Maps of conv");
  expect(place.querySelector("[tabindex]")).toBeNull();
});
