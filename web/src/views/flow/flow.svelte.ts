/** What this view alone keeps: how the picture is moved, what is below the pointer, which groups are open. */

import { type Move, STILL, type Unit } from "./answers.ts";

export interface Pointed {
  layer: string;
  unit: Unit;
}

export interface FlowState {
  move: Move;
  /** The move that is asked about: it follows once what was asked before is answered. */
  asked: Move;
  pointed: Pointed | null;
  /** Whether the last thing that a person used was the keyboard; nothing follows it. */
  byKeys: boolean;
  /** Paths of opened groups; null until the graph is known. */
  open: ReadonlySet<string> | null;
}

export function flowState(): FlowState {
  let move = $state.raw<Move>(STILL);
  let asked = $state.raw<Move>(STILL);
  let pointed = $state.raw<Pointed | null>(null);
  let open = $state.raw<ReadonlySet<string> | null>(null);
  return {
    byKeys: false,
    get move() {
      return move;
    },
    set move(value) {
      move = value;
    },
    get asked() {
      return asked;
    },
    set asked(value) {
      asked = value;
    },
    get pointed() {
      return pointed;
    },
    set pointed(value) {
      pointed = value;
    },
    get open() {
      return open;
    },
    set open(value) {
      open = value;
    },
  };
}

/** The arguments of a move; none for what does not move, so that equal questions are equal. */
export function moveArguments(move: Move): object {
  const { shift, rotate, scale } = move;
  return {
    ...(shift[0] || shift[1] ? { shift } : {}),
    ...(rotate ? { rotate } : {}),
    ...(scale === 1 ? {} : { scale }),
  };
}
