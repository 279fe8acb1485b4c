/** What happened, as a sentence. */

import { percent } from "../../drawing/numbers.ts";
import type { Say } from "../../language/say.ts";
import type { RunEvent } from "./history.ts";

export function eventText(say: Say, event: RunEvent, language: string): string {
  const { kind } = event;
  if (kind === "dead" || kind === "revived" || kind === "saturated" || kind === "unsaturated") {
    const count = event.count ?? 0;
    const few = event.channels ?? [];
    const channels = few.join(", ") + (few.length < count ? " …" : "");
    return say(`film.event_${kind}`, { layer: event.layer ?? "?", count, channels });
  }
  if (kind === "nan") return say("film.event_nan", { layer: event.layer ?? "?", message: event.message });
  const [first = "?", second = "?"] = event.classes ?? [];
  if (kind === "forgotten" && typeof event.best === "number" && typeof event.now === "number") {
    return say("film.alarm_forgotten", { name: first, best: percent(event.best, language), now: percent(event.now, language) });
  }
  if (kind === "swapped") return say("film.alarm_swapped", { first, second });
  if (kind === "over-fitting") return say("film.alarm_over_fitting");
  return event.message;
}
