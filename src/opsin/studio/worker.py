"""A worker: a process of its own that opens one subject and answers questions about it, one at a time.

`python -m opsin.studio.worker` reads messages from its standard input and writes its own to what was its standard
output; what a person's own network prints goes to standard error. A message is its length (uint64, little-endian)
and what `reporting.views.wire.encode` makes. The process ends when its input does.
"""

from __future__ import annotations

import os
import queue
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

from opsin.errors import OpsinError, first_line
from opsin.reporting.views import wire

LENGTH = struct.Struct("<Q")
SAID = 0.05  # seconds between two reports of progress
NICE = 10  # of the slow lane, so that it never slows what a person waits for

Progress = Callable[[str, int, int], None]
Open = Callable[[Mapping[str, Any]], Any]
Answer = Callable[[Any, str, Mapping[str, Any], Progress], Mapping[str, Any]]


def serve(open_subject: Open, answer: Answer, known: Sequence[str], slow: Sequence[str]) -> None:
    """Answer until the input ends.

    Args:
        open_subject: opens what the first message describes.
        answer: `(subject, question, args, progress)` -> plain values, arrays and pictures.
        known: the questions that there are.
        slow: those of them that may take long.
    """
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints must not end up between the messages
    messages: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, messages), daemon=True).start()
    subject = None
    while True:
        content, buffers = wire.decode(messages.get())
        try:
            if content["kind"] == "open":
                _yield_to_quick(content["lane"])
                subject = open_subject(content["subject"])
                _write(out, {"kind": "ready", "known": known, "slow": slow}, [])
            else:
                args = wire.unpack(content["args"], buffers)
                document, parts = wire.pack(answer(subject, content["question"], _named(args), _teller(out)))
                _write(out, {"kind": "answer", "answer": document}, parts)
        except OpsinError as error:
            _write(out, {"kind": "error", "message": str(error)}, [])
        except Exception as error:
            traceback.print_exc()
            what = content.get("question", "opening it")
            message = f"{what} failed: {type(error).__name__}: {first_line(error)}; the terminal shows where"
            _write(out, {"kind": "error", "message": message}, [])


def _listen(source: BinaryIO, messages: queue.Queue[bytes]) -> None:
    """Hear the end of the input also while a question is being answered: then nobody waits for the answer."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        messages.put(source.read(LENGTH.unpack(head)[0]))
    os._exit(0)


def _yield_to_quick(lane: str) -> None:
    if lane == "slow" and hasattr(os, "nice"):
        os.nice(NICE)


def _named(args: Any) -> Mapping[str, Any]:
    if not isinstance(args, dict):
        raise OpsinError(f"a question's arguments were given as {type(args).__name__}; expected them by name")
    return args


def _teller(out: BinaryIO) -> Progress:
    said = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= SAID or done >= total:
            said = now
            _write(out, {"kind": "progress", "what": what, "done": done, "total": total}, [])

    return tell


def _write(out: BinaryIO, content: Mapping[str, Any], buffers: list[bytes]) -> None:
    message = wire.encode(content, buffers)
    out.write(LENGTH.pack(len(message)))
    out.write(message)
    out.flush()


def main() -> None:
    """The worker that opens runs and models, and answers what the views ask."""
    from opsin.studio.offline import stay_offline

    stay_offline()
    from opsin.reporting.views.questions import QUESTIONS, answer
    from opsin.studio.opening import Opened, open_subject

    def answer_now(subject: Opened, question: str, args: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        return answer(subject.fresh(), question, args, progress)

    serve(open_subject, answer_now, list(QUESTIONS), [name for name, entry in QUESTIONS.items() if entry.slow])


if __name__ == "__main__":
    main()
