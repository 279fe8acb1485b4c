/** Going on by itself, one step after the other. */

const WHOLE = 6000; // milliseconds that a film takes
const FASTEST = 33;
const SLOWEST = 250;
const CALM = 600; // where little is to move

/** Milliseconds between two of so many steps. */
export function interval(steps: number, motion: boolean): number {
  const each = Math.min(Math.max(WHOLE / Math.max(steps, 1), FASTEST), SLOWEST);
  return motion ? each : Math.max(each, CALM);
}

interface Moves {
  interval: () => number;
  begin: () => void;
  /** Go one step on; false: that was the last. */
  move: () => boolean;
}

export interface Player {
  readonly playing: boolean;
  toggle(): void;
  stop(): void;
}

/** Call it while a component is set up. */
export function player(moves: Moves): Player {
  let playing = $state(false);
  let frame = 0;
  let due = 0;

  function tick(time: number): void {
    if (!playing) return;
    if (time >= due) {
      // late frames are not made up for: no step is left out
      due = Math.max(due + moves.interval(), time);
      if (!moves.move()) {
        stop();
        return;
      }
    }
    frame = requestAnimationFrame(tick);
  }
  function stop(): void {
    playing = false;
    cancelAnimationFrame(frame);
  }
  function toggle(): void {
    if (playing) {
      stop();
      return;
    }
    playing = true;
    moves.begin();
    due = performance.now() + moves.interval();
    frame = requestAnimationFrame(tick);
  }
  $effect(() => () => cancelAnimationFrame(frame));
  return {
    get playing() {
      return playing;
    },
    toggle,
    stop,
  };
}
