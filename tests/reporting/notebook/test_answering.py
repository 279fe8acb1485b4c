"""Messages of a view in the kernel: what is answered where, what is told, and what ends."""

import threading

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.reporting.notebook.answering import Answering
from opsin.reporting.views import wire
from opsin.reporting.views.questions import QUESTIONS, Question
from opsin.reporting.views.subject import Subject


class Ear:
    """What the view hears."""

    def __init__(self) -> None:
        self.said: list[tuple[dict, list[bytes]]] = []
        self.news = threading.Condition()

    def __call__(self, content, buffers) -> None:
        with self.news:
            self.said.append((dict(content), list(buffers)))
            self.news.notify_all()

    def of(self, kind: str) -> list[dict]:
        return [content for content, _ in self.said if content["kind"] == kind]

    def wait(self, kind: str, count: int = 1) -> list[dict]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.of(kind)) >= count, 30)
        return self.of(kind)


@pytest.fixture
def model():
    return opsin.build_model("simple_cnn", classes=("a", "b"), channels=1, size=28, seed=0)


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def answering(model, ear):
    answering = Answering(Subject.of(model), lambda: Subject.of(model), ear)
    yield answering
    answering.close()


@pytest.fixture
def slow(monkeypatch):
    """A slow question that goes on when it is told to, and says in which thread."""
    go = threading.Event()

    def crawl(subject, *, progress, steps: int = 2):
        for step in range(steps):
            progress("crawling", step, steps)
            assert go.wait(30)
        return {"thread": threading.current_thread().name, "own": id(subject)}

    monkeypatch.setitem(QUESTIONS, "crawl", Question(crawl, slow=True))
    yield go
    go.set()


def ask(question: str, id: str = "1", **args):
    document, buffers = wire.pack(args)
    return {"kind": "ask", "id": id, "question": question, "args": document}, buffers


def test_a_quick_question_is_answered_before_hearing_returns(answering, ear, model):
    answering.heard(*ask("subject"))
    ((content, buffers),) = ear.said
    assert (content["kind"], content["id"]) == ("answer", "1")
    assert wire.unpack(content["answer"], buffers)["classes"] == ["a", "b"]


def test_arrays_go_both_ways(answering, ear):
    answering.heard(*ask("put", pixels=np.full((28, 28, 1), 7, np.uint8), name="drawn"))
    id = ear.said[-1][0]["answer"]["id"]
    answering.heard(*ask("thumbnails", "2", ids=[id], side=28))
    content, buffers = ear.said[-1]
    assert (wire.unpack(content["answer"], buffers)["pixels"] == 7).all()


@pytest.mark.parametrize(
    ("question", "args", "why"),
    [
        ("sbject", {}, "'sbject' was asked; expected one of"),
        ("thumbnails", {"ids": ["own/none"]}, "not kept any more"),
        ("thumbnails", {"ids": 3}, "thumbnails was asked with ids"),
    ],
)
def test_what_cannot_be_answered_says_why(answering, ear, question, args, why):
    answering.heard(*ask(question, **args))
    (error,) = ear.of("error")
    assert error["id"] == "1"
    assert why in error["message"]


def test_a_message_whose_buffers_are_missing_is_an_error_of_its_own(answering, ear):
    content, _ = ask("put", pixels=np.zeros((2, 2, 1), np.uint8), name="")
    answering.heard(content, [])
    assert "buffer 0 of 0" in ear.of("error")[0]["message"]


def test_a_mistake_of_ours_is_told_and_not_swallowed(answering, ear, monkeypatch):
    def broken(subject, *, progress):
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(QUESTIONS, "broken", Question(broken))
    with pytest.raises(ZeroDivisionError):
        answering.heard(*ask("broken"))
    assert ear.of("error")[0]["message"] == "broken failed: by zero"


def test_a_slow_question_holds_up_no_other(answering, ear, slow):
    answering.heard(*ask("crawl", "slow"))
    assert ear.wait("progress")[0] == {
        "kind": "progress", "id": "slow", "done": 0, "total": 2, "what": "crawling",
    }  # fmt: skip
    answering.heard(*ask("subject", "quick"))
    assert [content["id"] for content in ear.of("answer")] == ["quick"]
    slow.set()
    answer = next(content for content in ear.wait("answer", 2) if content["id"] == "slow")["answer"]
    assert answer["thread"].startswith("opsin-slow")
    assert answer["own"] != id(answering._subject)


def test_slow_questions_know_the_pictures_of_a_person(answering, ear, monkeypatch):
    def look(subject, *, progress, image: str):
        return {"sum": int(subject.images[image].pixels.sum())}

    monkeypatch.setitem(QUESTIONS, "look", Question(look, slow=True))
    answering.heard(*ask("put", "put", pixels=np.ones((4, 4, 1), np.uint8), name=""))
    answering.heard(*ask("look", "look", image=ear.said[-1][0]["answer"]["id"]))
    assert ear.wait("answer", 2)[-1]["answer"] == {"sum": 16}


def test_cancelling_ends_what_runs_and_what_waits(answering, ear, slow):
    answering.heard(*ask("crawl", "runs"))
    answering.heard(*ask("crawl", "waits"))
    ear.wait("progress")
    for id in ("waits", "runs", "never asked"):
        answering.heard({"kind": "cancel", "id": id}, [])
    slow.set()
    answering.heard(*ask("crawl", "after"))
    assert [content["id"] for content in ear.wait("answer")] == ["after"]
    assert {content["id"] for content in ear.of("progress")} == {"runs", "after"}
    assert ear.of("error") == []


def test_closing_ends_all(answering, ear, slow):
    answering.heard(*ask("crawl", "runs"))
    ear.wait("progress")
    answering.close()
    slow.set()
    answering._slowly.shutdown(wait=True)
    assert ear.of("answer") == []


def test_an_answer_that_the_subject_refuses_comes_from_the_thread_too(answering, ear, monkeypatch):
    def refuse(subject, *, progress):
        raise OpsinError("no")

    monkeypatch.setitem(QUESTIONS, "refuse", Question(refuse, slow=True))
    answering.heard(*ask("refuse"))
    assert ear.wait("error")[0]["message"] == "no"
