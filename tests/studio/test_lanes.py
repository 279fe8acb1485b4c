"""Workers and their lanes: turns, cancelling, crashes, and what a new process is told again."""

import asyncio
import os
import sys

import numpy as np
import psutil
import pytest

from opsin.errors import OpsinError
from opsin.reporting.views import wire
from opsin.studio import lanes
from opsin.studio.lanes import Asked, Lane, Own, Process


def asked(question, **args):
    return Asked(question, *wire.pack(args))


async def ask(lane, question, told=None, **args):
    document, buffers = await lane.ask(asked(question, **args), told or (lambda _: None))
    return wire.unpack(document, buffers)


class Bench:
    """A quick and a slow lane over the answers of the tests."""

    def __init__(self, folder, command):
        self.folder, self.command, self.started = folder, command, []
        own = Own()
        self.quick, self.slow = Lane("quick", self.start, own), Lane("slow", self.start, own)

    async def start(self, lane):
        process = await Process.start(self.command)
        self.started.append(process)
        try:
            await process.open({"folder": str(self.folder), "id": "x"}, lane)
        except BaseException:
            await process.end()
            raise
        return process

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.quick.close()
        await self.slow.close()
        assert not any(process.alive for process in self.started)


@pytest.fixture
def bench(tmp_path, worker_command):
    return lambda: Bench(tmp_path, worker_command)


def test_values_arrays_and_pictures_go_both_ways(bench):
    async def go():
        async with bench() as lanes:
            sent = {"pixels": np.arange(12, dtype=np.uint8).reshape(3, 4), "text": "é<script>", "list": [1, None, True]}
            found = await ask(lanes.quick, "echo", **sent)
            np.testing.assert_array_equal(found.pop("pixels"), sent.pop("pixels"))
            assert found == sent
            arrays = await ask(lanes.quick, "arrays", count=1_000_000)
            assert (arrays["zeros"].shape, arrays["picture"]) == ((1_000_000,), wire.Picture(b"abc", "image/png"))

    asyncio.run(go())


def test_what_a_network_prints_does_not_break_answers(bench, capfd):
    async def go():
        async with bench() as lanes:
            assert await ask(lanes.quick, "print") == {"done": True}
            assert await ask(lanes.quick, "echo", a=1) == {"a": 1}

    asyncio.run(go())
    assert "said by a network" in capfd.readouterr().err


def test_errors_come_back_in_one_line_and_the_process_goes_on(bench, capfd):
    async def go():
        async with bench() as lanes:
            pid = (await ask(lanes.quick, "told"))["pid"]
            with pytest.raises(OpsinError, match="this is refused; ask something else"):
                await ask(lanes.quick, "refuse")
            with pytest.raises(OpsinError, match=r"^fail failed: RuntimeError: no such thing; the"):
                await ask(lanes.quick, "fail")
            with pytest.raises(OpsinError, match="TypeError"):
                await ask(lanes.quick, "wait", minutes=1)
            assert (await ask(lanes.quick, "told"))["pid"] == pid

    asyncio.run(go())
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(("question", "why"), [("exit", "exit code 3"), ("die", "killed: the memory may be full")])
def test_a_process_that_ends_gives_one_clear_error_and_the_next_question_works(bench, question, why):
    async def go():
        async with bench() as lanes:
            first = (await ask(lanes.quick, "told"))["pid"]
            with pytest.raises(OpsinError, match=rf"^{question} ended the process that answers \({why}\)"):
                await ask(lanes.quick, question)
            assert (await ask(lanes.quick, "told"))["pid"] != first

    asyncio.run(go())


def test_a_process_that_ended_while_nobody_asked_is_replaced(bench):
    async def go():
        async with bench() as lanes:
            await ask(lanes.quick, "told")
            await lanes.started[0].end()
            assert (await ask(lanes.quick, "echo", a=1)) == {"a": 1}

    asyncio.run(go())


def test_a_program_that_cannot_start_is_one_clear_error(tmp_path, worker_command):
    async def go():
        async with Bench(tmp_path, (*worker_command, "broken")) as lanes:
            with pytest.raises(OpsinError, match=r"ended the process that answers \(exit code 5\)"):
                await ask(lanes.quick, "echo")

    asyncio.run(go())


def test_progress_is_told_before_the_answer(bench):
    async def go():
        async with bench() as lanes:
            told = []
            await ask(lanes.slow, "work", told.append, seconds=0.4)
            assert {content["what"] for content in told} == {"working"}
            done = [content["done"] for content in told]
            assert done == sorted(done)
            assert len(done) > 2
            assert (done[-1], told[-1]["total"]) == (20, 20)

    asyncio.run(go())


def test_questions_are_answered_in_turn(bench):
    async def go():
        async with bench() as lanes:
            order = []

            async def one(number):
                await ask(lanes.quick, "echo", number=number)
                order.append(number)

            await asyncio.gather(*(one(number) for number in range(8)))
            assert order == list(range(8))
            assert len(lanes.started) == 1

    asyncio.run(go())


def test_a_cancelled_slow_question_ends_with_its_process(bench, tmp_path):
    async def go():
        async with bench() as lanes:
            task = asyncio.ensure_future(ask(lanes.slow, "work", seconds=60, mark=str(tmp_path / "m")))
            pid = await appears(tmp_path / "m.begun")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            answer = await ask(lanes.slow, "work", seconds=0)
            assert answer["pid"] != pid
            assert not psutil.pid_exists(pid)
            assert not (tmp_path / "m.ended").exists()
            assert len(lanes.started) == 2  # the one that was made ready answers

    asyncio.run(go())


def test_a_cancelled_waiting_question_is_never_asked(bench, tmp_path):
    async def go():
        async with bench() as lanes:
            first = asyncio.ensure_future(ask(lanes.slow, "work", seconds=0.5, mark=str(tmp_path / "first")))
            await appears(tmp_path / "first.begun")
            second = asyncio.ensure_future(ask(lanes.slow, "work", seconds=0, mark=str(tmp_path / "second")))
            await asyncio.sleep(0)
            second.cancel()
            await first
            await ask(lanes.slow, "work", seconds=0)
            assert (tmp_path / "first.ended").exists()
            assert not (tmp_path / "second.begun").exists()

    asyncio.run(go())


def test_a_cancelled_quick_question_is_left_to_end(bench):
    async def go():
        async with bench() as lanes:
            pid = (await ask(lanes.quick, "told"))["pid"]
            task = asyncio.ensure_future(ask(lanes.quick, "wait", seconds=0.3))
            await asyncio.sleep(0.1)
            task.cancel()
            assert await ask(lanes.quick, "echo", a=1) == {"a": 1}  # its own answer, not the one that was left behind
            assert (await ask(lanes.quick, "told"))["pid"] == pid

    asyncio.run(go())


def test_a_cancelled_quick_question_that_does_not_end_is_ended(bench, monkeypatch):
    monkeypatch.setattr(lanes, "PATIENCE", 0.1)

    async def go():
        async with bench() as lanes:
            pid = (await ask(lanes.quick, "told"))["pid"]
            task = asyncio.ensure_future(ask(lanes.quick, "wait", seconds=60))
            await asyncio.sleep(0.1)
            task.cancel()
            assert (await ask(lanes.quick, "told"))["pid"] != pid

    asyncio.run(go())


def test_a_slow_question_does_not_hold_up_quick_ones(bench, tmp_path):
    async def go():
        async with bench() as lanes:
            slow = asyncio.ensure_future(ask(lanes.slow, "work", seconds=60, mark=str(tmp_path / "m")))
            await appears(tmp_path / "m.begun")
            for _ in range(20):
                await ask(lanes.quick, "echo")
            assert not slow.done()
            slow.cancel()

    asyncio.run(go())


def test_own_pictures_are_in_both_lanes_and_survive_a_crash(bench):
    async def go():
        async with bench() as lanes:
            for value in (1, 2):
                await ask(lanes.quick, "put", pixels=np.full(3, value, np.uint8))
            both = ["own/3", "own/6"]
            assert (await ask(lanes.slow, "own_slowly"))["ids"] == both
            with pytest.raises(OpsinError):
                await ask(lanes.quick, "exit")
            assert (await ask(lanes.quick, "own"))["ids"] == both
            await ask(lanes.quick, "put", pixels=np.full(3, 3, np.uint8))
            assert (await ask(lanes.slow, "own_slowly"))["ids"] == [*both, "own/9"]

    asyncio.run(go())


def test_a_refused_picture_is_not_told_again(bench):
    async def go():
        async with bench() as lanes:
            with pytest.raises(OpsinError):
                await ask(lanes.quick, "put", pixels="none")
            assert (await ask(lanes.slow, "own_slowly"))["ids"] == []

    asyncio.run(go())


def test_own_pictures_are_kept_up_to_a_number_and_a_size(monkeypatch):
    own = Own()
    for number in range(lanes.OWN + 5):
        own.keep(str(number), asked("put"))
    assert [id for id, _ in own.items()] == [str(number) for number in range(5, lanes.OWN + 5)]
    own.keep("5", asked("put"))
    assert own.items()[-1][0] == "5"
    monkeypatch.setattr(lanes, "OWN_BYTES", 10)
    own.keep("large", Asked("put", {}, [b"x" * 11]))
    assert [id for id, _ in own.items()] == ["large"]
    own.keep("next", Asked("put", {}, [b"x"]))
    assert [id for id, _ in own.items()] == ["next"]


def test_a_subject_that_cannot_be_opened_says_why_each_time(bench, tmp_path):
    (tmp_path / "damaged").touch()

    async def go():
        async with bench() as lanes:
            for _ in range(2):
                with pytest.raises(OpsinError, match="the file is damaged; write it again"):
                    await ask(lanes.quick, "echo")
            (tmp_path / "damaged").unlink()
            assert await ask(lanes.quick, "echo", a=1) == {"a": 1}

    asyncio.run(go())


def test_a_busy_worker_ends_when_the_server_is_gone(tmp_path, worker_command):
    """Also where it was killed and could not end anybody."""

    async def go():
        process = await Process.start(worker_command)
        await process.open({"folder": str(tmp_path), "id": "x"}, "slow")
        task = asyncio.ensure_future(process.ask(asked("work", seconds=600, mark=str(tmp_path / "m")), lambda _: None))
        pid = await appears(tmp_path / "m.begun")
        process._process.stdin.close()
        await asyncio.wait_for(process._process.wait(), 20)
        assert not psutil.pid_exists(pid)
        task.cancel()

    asyncio.run(go())


@pytest.mark.skipif(os.name != "posix", reason="there are no nice values here")
def test_the_slow_lane_yields_to_others(bench):
    async def go():
        async with bench() as lanes:
            quick = (await ask(lanes.quick, "told"))["pid"]
            slow = (await ask(lanes.slow, "work", seconds=0))["pid"]
            assert psutil.Process(slow).nice() > psutil.Process(quick).nice()

    asyncio.run(go())


def test_files_of_the_current_folder_do_not_replace_modules(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('run')")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)

    async def go():
        assert lanes.WORKER[0] == sys.executable
        process = await Process.start(lanes.WORKER)
        with pytest.raises(OpsinError, match="is not here any more"):
            await process.open({"folder": str(tmp_path / "runs"), "given": None, "code": [], "id": "x"}, "quick")
        await process.end()

    asyncio.run(go())


async def appears(path) -> int:
    """The number in a file, once it is there."""
    async with asyncio.timeout(20):
        while not path.exists() or not path.read_text():
            await asyncio.sleep(0.01)
    return int(path.read_text())
