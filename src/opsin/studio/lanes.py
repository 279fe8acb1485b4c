"""The server's side of the workers: one process per lane of an open subject, and questions that wait their turn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsin.errors import OpsinError
from opsin.reporting.views import wire
from opsin.studio.worker import LENGTH

# -P: a file random.py in the folder that a person works in must not replace Python's own
WORKER = (sys.executable, "-P", "-m", "opsin.studio.worker")
PATIENCE = 60.0  # seconds that a quick question may go on after nobody waits for it any more
OWN = 64  # pictures of a person's own that a new process is told again
OWN_BYTES = 2**28
READ_AHEAD = 2**20  # bytes

Told = Callable[[Mapping[str, Any]], None]
Reply = tuple[dict[str, Any], list[memoryview]]


class Crashed(Exception):
    """A worker's process ended by itself: why."""


@dataclass(frozen=True)
class Asked:
    """A question as it came: its name, and its arguments as a document with buffers."""

    question: str
    args: Any
    buffers: Sequence[bytes | memoryview]

    @property
    def size(self) -> int:
        return sum(len(item) for item in self.buffers)


class Process:
    """One worker. It answers one question at a time: who calls sees to that."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: set[str] = set()  # the pictures of a person's own that it has
        self.known: frozenset[str] = frozenset()  # the questions that it answers
        self.slow: frozenset[str] = frozenset()  # those of them that may take long

    @classmethod
    async def start(cls, command: Sequence[str]) -> Process:
        """Start a process. It imports what it needs while nobody waits for it."""
        # Ctrl-C in a terminal reaches a whole group: the server ends its workers itself
        apart: dict[str, Any] = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
            if os.name == "nt"
            else {"start_new_session": True}
        )
        pipe = asyncio.subprocess.PIPE
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=READ_AHEAD, **apart)
        )
        try:
            return cls(await asyncio.shield(starting))
        except asyncio.CancelledError:
            await cls(await starting).end()  # half-started, it would be nobody's
            raise

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def open(self, subject: Mapping[str, Any], lane: str) -> None:
        """Open the subject.

        Raises:
            OpsinError: it cannot be opened.
        """
        content, _ = await self._talk({"kind": "open", "subject": dict(subject), "lane": lane}, (), _ignore)
        self.known, self.slow = frozenset(content["known"]), frozenset(content["slow"])

    async def ask(self, asked: Asked, told: Told) -> Reply:
        """Ask one question; returns the answer's document and buffers.

        Raises:
            OpsinError: there is no answer, and why.
            Crashed: the process ended.
        """
        content = {"kind": "ask", "question": asked.question, "args": asked.args}
        content, buffers = await self._talk(content, asked.buffers, told)
        return content["answer"], buffers

    async def _talk(self, content: Mapping[str, Any], buffers: Sequence[bytes | memoryview], told: Told) -> Reply:
        assert self._process.stdin is not None
        try:
            message = wire.encode(content, buffers)  # type: ignore[arg-type]
            self._process.stdin.writelines((LENGTH.pack(len(message)), message))
            await self._process.stdin.drain()
            while (reply := await self._read())[0]["kind"] == "progress":
                told(reply[0])
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            code = await self._process.wait()
            raise Crashed(_why(code)) from error
        if reply[0]["kind"] == "error":
            raise OpsinError(reply[0]["message"])
        return reply

    async def _read(self) -> Reply:
        assert self._process.stdout is not None
        head = await self._process.stdout.readexactly(LENGTH.size)
        return wire.decode(await self._process.stdout.readexactly(LENGTH.unpack(head)[0]))

    async def end(self) -> None:
        """End it at once, whatever it does, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Lane:
    """Questions of one kind about one subject, answered in turn by one process, which is started when it is needed.

    Args:
        name: `quick` or `slow`.
        start: starts a process and opens the subject in it.
        own: the pictures of a person's own, shared by the lanes.
    """

    def __init__(self, name: str, start: Callable[[str], Awaitable[Process]], own: Own) -> None:
        self.name, self._start, self._own = name, start, own
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._jobs: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[Any] | None = None
        self._closed = False
        self.known: frozenset[str] = frozenset()
        self.slow: frozenset[str] = frozenset()

    async def open(self) -> None:
        """Have a process with the subject open.

        Raises:
            OpsinError: the subject cannot be opened.
        """
        async with self._turn:
            with _said_clearly("opening it"):
                await self._ready()

    async def ask(self, asked: Asked, told: Told) -> Reply:
        """The answer, in turn. Cancelled, a waiting question is dropped and a running one is left behind: a slow one
        ends with its process; a quick one ends by itself, since others would pay for a new process.

        Raises:
            OpsinError: there is no answer, and why.
        """
        job = asyncio.ensure_future(self._in_turn(asked, told))
        self._keep(job)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self._abandon(job)
            raise

    def warm(self, later: float = 0.0) -> None:
        """Have a process ready before a question needs it, begun so many seconds later; what prevents that, the
        question will say."""

        async def work() -> None:
            await asyncio.sleep(later)
            await self.open()

        if not self._closed:
            self._keep(asyncio.ensure_future(work()))

    async def close(self) -> None:
        """End every question and the process."""
        self._closed = True
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._drop()
        await asyncio.gather(*self._ending)

    async def _in_turn(self, asked: Asked, told: Told) -> Reply:
        async with self._turn:
            self._running = asyncio.current_task()
            try:
                with _said_clearly(asked.question):
                    process = await self._ready()
                    await self._tell_own(process)
                    document, buffers = await process.ask(asked, told)
                if asked.question == "put":
                    process.told.add(str(document["id"]))
                    self._own.keep(str(document["id"]), asked)
                return document, buffers
            except asyncio.CancelledError:
                self._drop()  # nobody reads the rest of what the process says: it is of no use any more
                raise
            finally:
                self._running = None

    async def _ready(self) -> Process:
        if self._process is None or not self._process.alive:
            self._process = None  # a start that fails leaves none
            self._process = process = await self._start(self.name)
            self.known, self.slow = process.known, process.slow
        return self._process

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            task = asyncio.ensure_future(process.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _tell_own(self, process: Process) -> None:
        for id, picture in self._own.items():
            if id not in process.told:
                process.told.add(id)
                try:
                    await process.ask(picture, _ignore)
                except OpsinError:
                    self._own.drop(id)  # who asks about it will be told that it is not there
                except Crashed:
                    self._own.drop(id)
                    raise

    def _abandon(self, job: asyncio.Task[Any]) -> None:
        if job is not self._running:
            job.cancel()
        elif self.name == "slow":
            job.cancel()
            self.warm()
        else:
            asyncio.get_running_loop().call_later(PATIENCE, job.cancel)

    def _keep(self, job: asyncio.Task[Any]) -> None:
        self._jobs.add(job)
        job.add_done_callback(self._forget)

    def _forget(self, job: asyncio.Task[Any]) -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            job.exception()  # whoever asked was told, or has gone


class Own:
    """What a person drew or dropped: the questions that put it there, asked again in every new process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Asked] = OrderedDict()

    def keep(self, id: str, asked: Asked) -> None:
        """Keep one, and drop the oldest ones where it gets too much."""
        self._kept[id] = asked
        self._kept.move_to_end(id)
        while len(self._kept) > OWN or (len(self._kept) > 1 and sum(a.size for a in self._kept.values()) > OWN_BYTES):
            self._kept.popitem(last=False)

    def drop(self, id: str) -> None:
        """Keep one no longer."""
        self._kept.pop(id, None)

    def items(self) -> list[tuple[str, Asked]]:
        """Ids and questions, the oldest first."""
        return list(self._kept.items())


@contextlib.contextmanager
def _said_clearly(what: str) -> Iterator[None]:
    try:
        yield
    except Crashed as error:
        raise OpsinError(f"{what} ended the process that answers ({error}); the terminal may show more") from error


def _ignore(_content: Mapping[str, Any]) -> None:
    pass


def _why(code: int) -> str:
    if code == -getattr(signal, "SIGKILL", 9):
        return "killed: the memory may be full"
    if code < 0:
        return f"signal {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"signal {-code}"
    return f"exit code {code}"
