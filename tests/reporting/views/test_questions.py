"""Questions, their arguments and their answers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.reporting.views.questions import QUESTIONS, answer
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack


@pytest.fixture(scope="module")
def subject(digits_run) -> Subject:
    return Subject.of(digits_run)


@pytest.mark.parametrize(
    ("question", "args", "match"),
    [
        ("nope", {}, "'nope' was asked; expected one of"),
        ("images", {}, "images was asked with group"),
        ("images", {"group": 3}, "valid string"),
        ("images", {"group": "test", "more": 1}, "extra inputs"),
        ("images", {"group": "other"}, "expected one of probe"),
        ("images", {"group": "test", "start": -1}, "expected none below 0"),
        ("images", {"group": "test", "side": 0}, "expected 1 to"),
        ("images", {"group": "test", "side": float("nan")}, "side"),
        ("thumbnails", {"ids": ["test/0"] * 1001}, "at most 1000"),
        ("thumbnails", {"ids": "test/0"}, "valid list"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(subject, question, args, match):
    with pytest.raises(OpsinError, match=match) as caught:
        answer(subject, question, args)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_answer_spells_its_arguments_out(question):
    parameters = inspect.signature(QUESTIONS[question].answer).parameters
    assert list(parameters)[:2] == ["subject", "progress"]
    kinds = {parameter.kind for name, parameter in parameters.items() if name != "subject"}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert QUESTIONS[question].answer.__doc__


def test_what_is_looked_at(subject, digits_run):
    told = answer(subject, "subject", {})
    assert told["label"] == "seed_cnn"
    assert told["parameters"] == 225_034
    assert told["run"]["steps"] == digits_run.snapshot_steps
    assert told["run"]["accuracy"] == digits_run.scores.accuracy
    assert told["input"] == {"channels": 1, "height": 28, "width": 28, "mode": "L", "mean": [0.5], "std": [0.5]}
    assert told["first"] == "probe/0"
    pack(told)


def test_a_model_alone(subject):
    model = opsin.build_model("lenet5", classes=("<script>", "b"), channels=1, size=28)
    told = answer(Subject.of(model), "subject", {})
    assert told["run"] is None
    assert told["classes"] == ["<script>", "b"]
    assert told["groups"] == {"example": 4}


def test_pictures_lie_one_after_the_other(subject, digits):
    found = answer(subject, "images", {"group": "test", "start": 998, "count": 64, "side": 28})
    assert found["total"] == 1000
    assert found["ids"] == ["test/998", "test/999"]
    assert found["grey"]
    last = np.asarray(digits.picture(int(digits.test.indices[999])).picture)
    assert np.array_equal(found["pixels"][784:].reshape(28, 28), last)
    assert found["labels"].tolist() == digits.test.labels[998:].tolist()


def test_thumbnails_of_photographs():
    subject = Subject.of(opsin.build_model("lenet5", classes=3, channels=1, size=28))
    found = answer(subject, "thumbnails", {"ids": ["example/1", "example/0"], "side": 40})
    assert found["names"] == ["coffee", "cat"]
    assert found["labels"].tolist() == [-1, -1]
    assert found["sizes"].max() == 40
    assert len(found["pixels"]) == 3 * found["sizes"].prod(axis=1).sum()
