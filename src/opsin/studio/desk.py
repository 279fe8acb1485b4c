"""The subjects that are open: each with its workers and the pages that look at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import psutil

from opsin.errors import OpsinError
from opsin.studio.follow import Written, changed_questions, written
from opsin.studio.lanes import Asked, Lane, Own, Process, Reply, Told
from opsin.studio.runs import Entry, Place

MOST = 4  # subjects open at once
EACH = 1.5e9  # bytes of memory that one takes: two processes, each with PyTorch and a network in it
LATER = 5.0  # seconds
IDLE = 300.0  # seconds after the last page has gone in which a subject stays open, for a page that is loaded again


def most_open() -> int:
    """How many subjects can be open at once with the memory that is free now: from 1 to MOST."""
    return min(max(int(psutil.virtual_memory().available / EACH), 1), MOST)


class Watcher(Protocol):
    """A page, as far as the desk has to do with it."""

    def push(self, content: Mapping[str, Any]) -> None:
        """Tell it something that it did not ask for."""
        ...


class OpenSubject:
    """One open subject: questions go to its quick or its slow lane."""

    def __init__(self, entry: Entry, start: Callable[[str], Awaitable[Process]]) -> None:
        self.entry = entry
        self.pages: set[Watcher] = set()
        self.left = time.monotonic()
        self.seen: Written = written(entry.path) if entry.kind == "run" and entry.path is not None else {}
        own = Own()
        self._quick, self._slow = Lane("quick", start, own), Lane("slow", start, own)

    async def open(self) -> None:
        """Have it open.

        Raises:
            OpsinError: it cannot be opened.
        """
        await self._quick.open()

    async def ask(self, asked: Asked, told: Told) -> Reply:
        """The answer to a question.

        Raises:
            OpsinError: there is none, and why.
        """
        if not self._quick.known:
            await self.open()
        lane = self._slow if asked.question in self._quick.slow else self._quick
        return await lane.ask(asked, told)

    def changes(self) -> list[str]:
        """The questions whose answers may have changed since this was last asked."""
        if not self.seen or self.entry.path is None:
            return []
        before, self.seen = self.seen, written(self.entry.path)
        names, known = changed_questions(before, self.seen), self._quick.known
        # nothing is known before a worker was asked: then nothing was answered that could have changed
        return sorted(known - {"put"}) if "*" in names else names

    def warm(self) -> None:
        """Begin to open it. The slow lane follows when the page has been drawn, before somebody asks it something."""
        self._quick.warm()
        self._slow.warm(later=LATER)

    async def close(self) -> None:
        """End its workers."""
        await asyncio.gather(self._quick.close(), self._slow.close())


class Desk:
    """Opens subjects and closes them again.

    Args:
        place: what there is.
        command: starts a worker.
        most: how many subjects can be open at once; by default as many as fit into the memory.
    """

    def __init__(self, place: Place, command: Sequence[str], most: int | None = None) -> None:
        self.shelf = place.shelf
        self.pages: set[Watcher] = set()
        self._told, self._command, self._most = place.told(), command, most or most_open()
        self._open: dict[str, OpenSubject] = {}
        self._spare: asyncio.Task[Process] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Start a process ahead: importing PyTorch takes longer than a person likes to wait for the first page. What
        the command line named is opened at once.

        Raises:
            OpsinError: it cannot be opened.
        """
        self._spare = asyncio.ensure_future(Process.start(self._command))
        if self.shelf.given is not None:
            await self._seat(self.shelf.given).open()

    async def sit(self, page: Watcher, id: str) -> OpenSubject:
        """Open a subject for a page, or join the pages that look at it.

        Raises:
            OpsinError: it is not there, or too many are open.
        """
        entry = await asyncio.to_thread(self.shelf.find, id)
        subject = self._open.get(id)
        if subject is None:
            subject = self._seat(entry)
            subject.warm()
        subject.pages.add(page)
        return subject

    def leave(self, page: Watcher) -> None:
        """A page has gone."""
        self.pages.discard(page)
        for subject in self._open.values():
            if page in subject.pages:
                subject.pages.discard(page)
                subject.left = time.monotonic()

    def looked_at(self) -> list[OpenSubject]:
        """The subjects that a page shows."""
        return [subject for subject in self._open.values() if subject.pages]

    def tidy(self) -> None:
        """Close what no page has shown for a while."""
        for id, subject in list(self._open.items()):
            if not subject.pages and time.monotonic() - subject.left > IDLE:
                self._close(id)

    async def close(self) -> None:
        """End every worker and wait until they are gone."""
        for id in list(self._open):
            self._close(id)
        await asyncio.gather(*self._ending)
        if self._spare is not None:
            await (await self._spare).end()

    def _seat(self, entry: Entry) -> OpenSubject:
        if len(self._open) >= self._most:
            idle = [id for id, subject in self._open.items() if not subject.pages]
            if not idle:
                raise OpsinError(f"{self._most} are open already, each in a page of its own; close one of these pages")
            self._close(min(idle, key=lambda id: self._open[id].left))
        subject = self._open[entry.id] = OpenSubject(entry, lambda lane: self._start(entry.id, lane))
        return subject

    def _close(self, id: str) -> None:
        task = asyncio.ensure_future(self._open.pop(id).close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _start(self, id: str, lane: str) -> Process:
        """A process with a subject open. One in which it cannot be opened is kept for the next try."""
        starting = self._spare or asyncio.ensure_future(Process.start(self._command))
        self._spare = None
        kept = False
        try:
            process = await asyncio.shield(starting)
            await process.open({**self._told, "id": id}, lane)
            kept = True
        except OpsinError:
            if self._spare is None and lane == "quick":  # the slow lane has made its process yield to others
                self._spare, kept = starting, True
            raise
        finally:
            if not kept:
                await (await starting).end()
        return process
