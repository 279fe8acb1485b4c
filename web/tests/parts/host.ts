/** A view on a page with a host that answers: for tests of whole views. */

import { type Component, flushSync, mount, unmount } from "svelte";
import { vi } from "vitest";
import { type ViewContext, viewContext } from "../../src/protocol/context.svelte.ts";
import { type FakeModel, fakeModel } from "../protocol/fake.ts";

/** What jsdom has not. */
export function browserParts(): void {
  vi.stubGlobal("ResizeObserver", class {
    observe(): void {}
    unobserve(): void {}
    disconnect(): void {}
  });
  // a canvas that takes everything and draws nothing
  const quiet = (): unknown => new Proxy({} as Record<string | symbol, unknown>, { get: (kept, key) => kept[key] ?? (() => ({ width: 8 })) });
  vi.stubGlobal("Path2D", class {
    constructor() {
      return quiet() as object;
    }
  });
  vi.stubGlobal("ImageData", class {});
  HTMLCanvasElement.prototype.getContext = quiet as never;
  Object.defineProperty(HTMLElement.prototype, "clientWidth", { configurable: true, value: 800 });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
}

export interface Host {
  model: FakeModel;
  context: ViewContext;
  place: HTMLElement;
  /** Answer everything that is asked until nothing more is. */
  settle(): Promise<void>;
  close(): void;
}

/** `answers`: by question; a function gets the arguments, an Error is told as one. */
export async function hosted(
  View: Component<{ context: ViewContext }>, answers: Record<string, unknown>, state: Record<string, unknown> = {},
): Promise<Host> {
  const model = fakeModel(state);
  const context = viewContext(model);
  const place = document.createElement("div");
  document.body.append(place);
  const component = mount(View, { target: place, props: { context } });
  let heard = 0;
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 20; round++) {
      flushSync();
      const news = model.sent.slice(heard);
      if (!news.length) return;
      heard += news.length;
      for (const { id, question, args, kind } of news) {
        if (kind !== "ask") continue;
        const given = answers[String(question)];
        const answer = typeof given === "function" ? (given as (asked: unknown) => unknown)(args) : given;
        if (answer === undefined) model.hear({ kind: "error", id, message: `nobody answers ${String(question)}` });
        else if (answer instanceof Error) model.hear({ kind: "error", id, message: answer.message });
        else model.answer(id, answer);
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  await settle();
  return {
    model, context, place, settle,
    close() {
      void unmount(component);
      context.close();
      place.remove();
    },
  };
}
