"""A page's conversation with a running studio."""

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from opsin.files import write_json
from opsin.reporting.views import wire
from opsin.studio import socket as module


def test_a_question_is_answered_with_its_arrays(shared_studio):
    with shared_studio.page() as page:
        pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
        content = page.ask("echo", pixels=pixels, name="<script>")
        assert content["kind"] == "answer"
        np.testing.assert_array_equal(content["answer"]["pixels"], pixels)
        assert content["answer"]["name"] == "<script>"


def test_what_there_is_can_be_asked_with_and_without_a_subject(shared_studio):
    for subject in (None, ""):
        with shared_studio.page(subject) as page:
            (entry,) = page.ask("subjects")["answer"]["subjects"]
            assert entry == shared_studio.subjects()[0]


def test_a_page_without_a_subject_is_told_so(shared_studio):
    with shared_studio.page("") as page:
        assert page.ask("echo")["message"] == "echo was asked about nothing; choose a run or model first"


@pytest.mark.parametrize("subject", ["0" * 16, "../keys", "%2e%2e", "<script>"])
def test_an_unknown_subject_is_said_and_final(shared_studio, subject):
    with shared_studio.page(subject) as page:
        content = page.read()
        assert (content["kind"], content["id"]) == ("error", None)
        assert "is not here any more" in content["message"]
        with pytest.raises(ConnectionClosed) as closed:
            page.read()
        assert closed.value.rcvd.code == module.GONE


def test_errors_belong_to_their_question(shared_studio):
    with shared_studio.page() as page:
        good, bad, crash = page.send("wait", seconds=0.1), page.send("refuse"), page.send("exit")
        assert page.wait(good)["answer"] == {"waited": 0.1}
        assert page.wait(bad) == {"kind": "error", "id": bad, "message": "this is refused; ask something else"}
        assert "ended the process that answers (exit code 3)" in page.wait(crash)["message"]
        assert page.ask("echo", a=1)["answer"] == {"a": 1}


def test_arguments_that_are_none_are_refused_by_the_worker(shared_studio):
    with shared_studio.page() as page:
        for args in (None, [1], "x", {"a": {"$array": 7, "dtype": "uint8", "shape": [1]}}):
            page.socket.send(wire.encode({"kind": "ask", "id": "x", "question": "echo", "args": args}, []))
            assert page.wait("x")["kind"] == "error"
        page.socket.send(wire.encode({"kind": "ask", "id": "x", "question": "echo"}, []))
        assert page.wait("x")["kind"] == "error"


HEADER = b'{"kind": "ask", "id": "x", "question": "echo", "args": {}, "buffers": %s}'


@pytest.mark.parametrize(
    "message",
    [b"", b"\0", b"\x02\0\0\0{}", b"\xff\xff\xff\xff{}", b"\xff\xff\x0f\0{}", b"\x02\0\0\0[]", b"\x02\0\0\0\xff\xff"]
    + [len(header).to_bytes(4, "little") + header for header in (
        HEADER % b"[9]", HEADER % b"[-1]", HEADER % b'["x"]', HEADER % b'{"a": 1}', HEADER % b"[1e3]", b"[" * 100_000,
        b'{"kind": "ask", "id": 1, "question": "echo", "buffers": []}', b'{"kind": "tell", "id": "x", "buffers": []}',
        b'{"kind": "ask", "id": "x", "question": ["echo"], "buffers": []}',
        b'{"kind": "ask", "id": "%s", "question": "echo", "buffers": []}' % (b"x" * 201),
    )],
)  # fmt: skip
def test_a_message_that_is_none_ends_its_page_and_no_other(shared_studio, message):
    with shared_studio.page() as other, shared_studio.page() as page:
        page.socket.send(message)
        assert page.read()["kind"] == "error"
        with pytest.raises(ConnectionClosed) as closed:
            page.read()
        assert closed.value.rcvd.code == module.UNREADABLE
        assert other.ask("echo", a=1)["answer"] == {"a": 1}


def test_text_is_no_message(shared_studio):
    with shared_studio.page() as page:
        page.socket.send("ask")
        with pytest.raises(ConnectionClosed) as closed:
            page.read()
        assert closed.value.rcvd.code == module.UNREADABLE


def test_a_message_that_is_too_large_is_refused_by_its_length_alone(shared_studio):
    """The frame's head says how long it is; nothing of it has to arrive."""
    with shared_studio.page() as page:
        head = b"\x82\xff" + (module.MOST_BYTES + 1).to_bytes(8, "big") + b"\0\0\0\0"
        page.socket.socket.sendall(head)
        with pytest.raises(ConnectionClosed) as closed:
            page.read()
        assert closed.value.rcvd.code == 1009
    with shared_studio.page() as page:
        assert page.ask("echo", a=1)["answer"] == {"a": 1}


def test_a_photograph_is_not_too_large(shared_studio):
    with shared_studio.page() as page:
        pixels = np.zeros((3000, 4000, 3), np.uint8)
        assert page.ask("put", pixels=pixels)["answer"] == {"id": "own/0"}


def test_progress_comes_with_the_questions_id(shared_studio):
    with shared_studio.page() as page:
        id = page.send("work", seconds=0.3)
        page.wait(id)
        assert {(content["kind"], content["id"], content["total"]) for content in page.pushed} == {("progress", id, 20)}


def test_cancelling_frees_the_slow_lane_and_answers_nothing(studio):
    running = studio()
    with running.page() as page:
        long = page.send("work", seconds=600)
        waiting = page.send("work", seconds=0)
        while page.read()["kind"] != "progress":
            pass
        page.cancel(long)
        page.cancel("never asked")
        assert page.wait(waiting)["kind"] == "answer"
        assert long not in {content.get("id") for content in page.pushed if content["kind"] != "progress"}


def test_a_page_that_closes_takes_its_questions_with_it(studio):
    running = studio()
    with running.page() as other:
        with running.page() as page:
            page.send("work", seconds=600)
            while page.read()["kind"] != "progress":
                pass
        assert other.ask("work", seconds=0)["kind"] == "answer"


def test_too_many_waiting_questions_are_refused(studio, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    with studio().page() as page:
        ids = [page.send("wait", seconds=0.2) for _ in range(4)]
        assert page.wait(ids[3])["message"] == "3 questions are waiting already"
        assert [page.wait(id)["kind"] for id in ids[:3]] == ["answer"] * 3


def test_an_id_is_used_once_at_a_time(shared_studio):
    with shared_studio.page() as page:
        message = wire.encode({"kind": "ask", "id": "x", "question": "wait", "args": {"seconds": 0.2}}, [])
        page.socket.send(message)
        assert page.wait("x")["kind"] == "answer"
        page.socket.send(message)
        page.socket.send(message)
        assert page.wait(None)["kind"] == "error"


def test_many_pages_get_their_own_answers(shared_studio):
    from contextlib import ExitStack

    with ExitStack() as stack:
        pages = [stack.enter_context(shared_studio.page()) for _ in range(20)]
        ids = [[page.send("echo", page=number, turn=turn) for turn in range(5)] for number, page in enumerate(pages)]
        for number, page in enumerate(pages):
            for turn, id in enumerate(ids[number]):
                assert page.wait(id)["answer"] == {"page": number, "turn": turn}


def test_no_more_subjects_than_allowed_and_the_page_is_told(studio):
    running = studio(most=1)
    first, second = (entry["id"] for entry in running.subjects())
    with running.page(first) as page:
        assert page.ask("told")["answer"]["id"] == first
        with running.page(second) as refused:
            assert "close one of these pages" in refused.read()["message"]
    with running.page(second) as page:
        assert page.ask("told")["answer"]["id"] == second


def test_a_training_in_another_process_is_followed(studio, tmp_path):
    running = studio()
    run = tmp_path / "runs" / "second"
    id = next(entry["id"] for entry in running.subjects() if entry["name"] == "second")
    with running.page(id) as page, running.page("") as without:
        page.ask("echo")
        (run / "steps.jsonl").write_text('{"step": 1}\n{"st')
        page.wait_changed("steps", "subject")
        (run / "snapshots").mkdir()
        page.wait_changed("steps", "space")
        (run / "snapshots" / "00000001.safetensors").write_bytes(b"")
        page.wait_changed("steps", "space")
        (run / "weights").mkdir()
        page.wait_changed("echo", "told")  # whatever is asked of the network
        write_json(run / "run.json", {"format": 1, "status": "finished", "classes": []})
        page.wait_changed("subject", "subjects")
        without.wait_changed("subjects")


def test_a_new_run_is_told_to_every_page(studio, tmp_path, make_run):
    running = studio()
    with running.page("") as one, running.page() as other:
        one.ask("subjects"), other.ask("subjects")
        make_run(tmp_path / "runs" / "third", "running")
        one.wait_changed("subjects")
        other.wait_changed("subjects")
        assert "third" in {entry["name"] for entry in one.ask("subjects")["answer"]["subjects"]}


def test_a_change_of_one_run_is_not_told_to_pages_of_another(studio, tmp_path):
    running = studio()
    ids = {entry["name"]: entry["id"] for entry in running.subjects()}
    with running.page(ids["first"]) as other, running.page(ids["second"]) as page:
        page.ask("echo")
        (tmp_path / "runs" / "second" / "steps.jsonl").write_text("{}\n")
        page.wait_changed("steps")
        other.ask("echo")
        assert other.pushed == []


def test_open_pages_come_back_after_a_restart(studio):
    first = studio()
    with first.page() as page:
        id = page.ask("told")["answer"]["id"]
        first.stop()
        with pytest.raises(ConnectionClosed) as closed:
            page.read()
        assert closed.value.rcvd.code == 1012
    second = studio(port=first.port)
    assert second.session.token != first.session.token
    second.cookie = first.cookie  # a browser has kept it
    with second.page(id) as page:
        assert page.ask("echo", a=1)["answer"] == {"a": 1}


def test_it_stops_within_a_second_while_pages_are_open_and_work_goes_on(studio):
    running = studio()
    with running.page() as page:
        page.send("work", seconds=600)
        while page.read()["kind"] != "progress":
            pass
        running.stop()
