"""One page's socket: its questions go to the workers, their answers and news of the run go back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from opsin.errors import OpsinError
from opsin.reporting.views import wire
from opsin.studio.desk import Desk, OpenSubject
from opsin.studio.lanes import Asked

MOST_BYTES = 64 * 2**20  # of one message: a photograph as it comes from a camera
MOST_HEADER = 2**20  # bytes of its header
MOST_WAITING = 200  # questions of one page at once
MOST_NAME = 200  # characters of a question's name and of its id

GONE = 4404  # close code: there is no such subject, or it cannot be opened now; asking again does not help
UNREADABLE = 4400  # close code: a message that is none


class Page:
    """A page that is open in a browser.

    Args:
        socket: accepted already.
        desk: opens what it looks at.
    """

    def __init__(self, socket: WebSocket, desk: Desk) -> None:
        self._socket, self._desk = socket, desk
        self._subject: OpenSubject | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pushes: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()

    async def talk(self, id: str) -> None:
        """Answer until the page goes.

        Args:
            id: of the subject; empty: the page only wants to know what there is.
        """
        self._desk.pages.add(self)
        try:
            if id:
                self._subject = await self._desk.sit(self, id)
            while True:
                await self._hear(await self._socket.receive_bytes())
        except OpsinError as error:
            await self._send({"kind": "error", "id": None, "message": str(error)})
            await self._close(GONE if self._subject is None else UNREADABLE)
        except (KeyError, TypeError):  # text instead of bytes
            await self._close(UNREADABLE)
        except WebSocketDisconnect:
            pass
        finally:
            self._desk.leave(self)
            for task in [*self._tasks.values(), *self._pushes]:
                task.cancel()

    def push(self, content: Mapping[str, Any]) -> None:
        """Tell the page something that it did not ask for."""
        task = asyncio.ensure_future(self._send(content))
        self._pushes.add(task)
        task.add_done_callback(self._pushes.discard)

    async def _hear(self, message: bytes) -> None:
        """Raises OpsinError where the message is none."""
        if len(message) < 4 or int.from_bytes(message[:4], "little") > MOST_HEADER:
            raise OpsinError(f"a message of {len(message)} bytes cannot be read; load the page again")
        content, buffers = wire.decode(message)
        id = content.get("id")
        if not isinstance(id, str) or len(id) > MOST_NAME or content.get("kind") not in ("ask", "cancel"):
            raise OpsinError("a message is neither a question nor its end; load the page again")
        if content["kind"] == "cancel":
            if id in self._tasks:
                self._tasks.pop(id).cancel()
            return
        question = content.get("question")
        if not isinstance(question, str) or len(question) > MOST_NAME or id in self._tasks:
            raise OpsinError("a question has no name of its own; load the page again")
        if len(self._tasks) >= MOST_WAITING:
            await self._send({"kind": "error", "id": id, "message": f"{MOST_WAITING} questions are waiting already"})
            return
        task = asyncio.ensure_future(self._answer(id, Asked(question, content.get("args"), buffers)))
        self._tasks[id] = task
        task.add_done_callback(lambda done: self._finished(id, done))

    def _finished(self, id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(id) is task:
            del self._tasks[id]

    async def _answer(self, id: str, asked: Asked) -> None:
        def told(content: Mapping[str, Any]) -> None:
            self.push({**content, "id": id})

        try:
            if asked.question == "subjects":
                document, buffers = {"subjects": await list_subjects(self._desk)}, []
            elif self._subject is None:
                raise OpsinError(f"{asked.question} was asked about nothing; choose a run or model first")
            else:
                document, buffers = await self._subject.ask(asked, told)
        except OpsinError as error:
            await self._send({"kind": "error", "id": id, "message": str(error)})
        else:
            await self._send({"kind": "answer", "id": id, "answer": document}, buffers)

    async def _send(self, content: Mapping[str, Any], buffers: Sequence[bytes | memoryview] = ()) -> None:
        message = wire.encode(content, buffers)  # type: ignore[arg-type]
        async with self._sending:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the page has gone meanwhile
                await self._socket.send_bytes(message)

    async def _close(self, code: int) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code)


async def list_subjects(desk: Desk) -> list[dict[str, Any]]:
    """What can be opened, as a page is told."""
    return [entry.public() for entry in await asyncio.to_thread(desk.shelf.entries)]
