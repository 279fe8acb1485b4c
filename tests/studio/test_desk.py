"""Open subjects: shared by pages, bounded in number, and closed when nobody looks."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import psutil
import pytest

from opsin.errors import OpsinError
from opsin.reporting.views import wire
from opsin.studio import desk as module
from opsin.studio.desk import Desk
from opsin.studio.lanes import Asked
from opsin.studio.runs import Entry, Place, Shelf


class Page:
    def push(self, _content):
        raise AssertionError("nothing changed")


@pytest.fixture
def at_desk(tmp_path, make_run, worker_command):
    for name in "abcd":
        make_run(tmp_path / name)

    @asynccontextmanager
    async def begin(given=None, most=2):
        desk = Desk(Place(Shelf(tmp_path, given)), worker_command, most)
        try:
            await desk.begin()
            yield desk, {entry.name: entry.id for entry in desk.shelf.entries()}
        finally:
            await desk.close()

    return begin


async def told(subject):
    return wire.unpack(*await subject.ask(Asked("told", {}, []), lambda _: None))


def test_pages_share_an_open_subject(at_desk):
    async def go():
        async with at_desk() as (desk, ids):
            one, other = await desk.sit(Page(), ids["a"]), await desk.sit(Page(), ids["a"])
            assert one is other
            found = await told(one)
            assert (found["id"], found["code"]) == (ids["a"], [])

    asyncio.run(go())


def test_the_process_that_was_started_ahead_is_the_first_to_answer(at_desk):
    async def go():
        async with at_desk() as (desk, ids):
            ahead = (await desk._spare)._process.pid
            assert (await told(await desk.sit(Page(), ids["a"])))["pid"] == ahead
            assert (await told(await desk.sit(Page(), ids["b"])))["pid"] != ahead

    asyncio.run(go())


def test_no_more_are_open_than_allowed_and_the_one_left_longest_goes(at_desk):
    async def go():
        async with at_desk() as (desk, ids):
            first, second = Page(), Page()
            gone = await desk.sit(first, ids["a"])
            pid = (await told(gone))["pid"]
            await desk.sit(second, ids["b"])
            with pytest.raises(OpsinError, match="2 are open already, each in a page of its own; close one"):
                await desk.sit(Page(), ids["c"])
            desk.leave(first)
            desk.leave(second)
            await desk.sit(Page(), ids["c"])
            assert set(desk._open) == {ids["b"], ids["c"]}
            await asyncio.gather(*desk._ending)
            assert not psutil.pid_exists(pid)

    asyncio.run(go())


def test_what_nobody_looks_at_is_closed_after_a_while(at_desk, monkeypatch):
    async def go():
        async with at_desk() as (desk, ids):
            page, other = Page(), Page()
            await desk.sit(page, ids["a"])
            await desk.sit(other, ids["b"])
            desk.leave(page)
            desk.tidy()
            assert set(desk._open) == {ids["a"], ids["b"]}
            monkeypatch.setattr(module, "IDLE", 0.0)
            desk.tidy()
            assert set(desk._open) == {ids["b"]}

    asyncio.run(go())


def test_nothing_unknown_is_opened(at_desk):
    async def go():
        async with at_desk() as (desk, _):
            with pytest.raises(OpsinError, match="is not here any more"):
                await desk.sit(Page(), "../a")
            assert not desk._open

    asyncio.run(go())


def test_what_the_command_line_named_is_opened_at_once_or_refused(at_desk, tmp_path):
    given = Entry("0" * 16, "my.py:CNN", "model", "", 0.0, None, {"model": "my.py:CNN"})

    async def go():
        async with at_desk(given) as (desk, _):
            assert (await told(await desk.sit(Page(), given.id)))["given"]["open"] == {"model": "my.py:CNN"}
        (tmp_path / "damaged").touch()
        with pytest.raises(OpsinError, match="the file is damaged"):
            async with at_desk(given):
                pass

    asyncio.run(go())


def test_a_process_in_which_nothing_could_be_opened_is_used_again(at_desk, tmp_path):
    async def go():
        async with at_desk() as (desk, ids):
            ahead = (await desk._spare)._process.pid
            (tmp_path / "damaged").touch()
            subject = await desk.sit(Page(), ids["a"])
            for _ in range(3):
                with pytest.raises(OpsinError, match="damaged"):
                    await told(subject)
            (tmp_path / "damaged").unlink()
            assert (await told(subject))["pid"] == ahead

    asyncio.run(go())


def test_no_process_stays_behind(at_desk):
    async def go():
        async with at_desk() as (desk, ids):
            subject = await desk.sit(Page(), ids["a"])
            await told(subject)
            slow = asyncio.ensure_future(subject.ask(Asked("work", {"seconds": 60}, []), lambda _: None))
            await asyncio.sleep(0.5)
        with pytest.raises(asyncio.CancelledError):
            await slow

    before = set(psutil.Process().children(recursive=True))
    asyncio.run(go())
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.parametrize(("free", "most"), [(0, 1), (2e9, 1), (4e9, 2), (64e9, 4)])
def test_as_many_are_open_as_fit_into_the_memory(monkeypatch, free, most):
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert module.most_open() == most
