"""Messages of a view, answered in the kernel: quick questions at once, slow ones beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any

from opsin.errors import OpsinError, first_line
from opsin.reporting.views import wire
from opsin.reporting.views.questions import QUESTIONS, answer
from opsin.reporting.views.subject import Subject

Send = Callable[[Mapping[str, Any], Sequence[bytes]], None]


class _Cancelled(Exception):
    """Nobody waits for the answer any more."""


class Answering:
    """Answers what one view asks.

    Quick questions are answered where they arrive, in the kernel's own thread: never while a cell runs. Slow ones have
    a thread, one after the other, and a network of their own, so that nothing which they hook onto layers is seen by
    others.

    Args:
        subject: what is looked at.
        again: opens the same thing once more, for slow questions.
        send: carries content and buffers to the view; called from both threads.
    """

    def __init__(self, subject: Subject, again: Callable[[], Subject], send: Send) -> None:
        self._subject, self._again, self._send = subject, again, send
        self._waiting: dict[str, Future[None]] = {}
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()

    def heard(self, content: Mapping[str, Any], buffers: Sequence[bytes | memoryview]) -> None:
        """Take a message: a question, or that one is not waited for any more."""
        id = str(content.get("id"))
        if content.get("kind") == "cancel":
            self._cancel(id)
        elif content.get("kind") == "ask":
            question = str(content.get("question"))
            if question in QUESTIONS and QUESTIONS[question].slow:
                with self._lock:
                    future = self._slowly.submit(self._answer_slowly, id, question, content.get("args"), buffers)
                    self._waiting[id] = future
            else:
                self._answer(self._subject, id, question, content.get("args"), buffers)

    def close(self) -> None:
        """End: what is being worked out stops at its next step."""
        with self._lock:
            ids = list(self._waiting)
        for id in ids:
            self._cancel(id)
        if "_slowly" in self.__dict__:
            self._slowly.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _slowly(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "opsin-slow")

    @cached_property
    def _beside(self) -> Subject:
        """The subject of slow questions; it knows the same pictures of a person's own."""
        subject = self._again()
        subject.images = self._subject.images
        return subject

    def _cancel(self, id: str) -> None:
        with self._lock:
            future = self._waiting.get(id)
            if future is None or (future.cancel() and self._waiting.pop(id)):
                return
            self._cancelled.add(id)

    def _answer_slowly(self, id: str, question: str, args: Any, buffers: Sequence[bytes | memoryview]) -> None:
        try:
            self._answer(self._beside, id, question, args, buffers)
        finally:
            with self._lock:
                self._waiting.pop(id, None)
                self._cancelled.discard(id)

    def _answer(
        self, subject: Subject, id: str, question: str, args: Any, buffers: Sequence[bytes | memoryview]
    ) -> None:
        def progress(what: str, done: int, total: int) -> None:
            if id in self._cancelled:
                raise _Cancelled
            if QUESTIONS[question].slow:  # a quick one is answered before a message about it would arrive
                self._send({"kind": "progress", "id": id, "done": done, "total": total, "what": what}, [])

        try:
            found = answer(subject, question, wire.unpack(args or {}, buffers), progress)
            document, packed = wire.pack(found)
        except _Cancelled:
            return
        except OpsinError as error:
            self._send({"kind": "error", "id": id, "message": str(error)}, [])
        except Exception as error:
            self._send({"kind": "error", "id": id, "message": f"{question} failed: {first_line(error)}"}, [])
            raise
        else:
            self._send({"kind": "answer", "id": id, "answer": document}, packed)
