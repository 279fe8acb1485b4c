"""What is looked at."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

import opsin
from opsin.errors import OpsinError
from opsin.reporting.views.subject import Subject


def test_inputs_are_those_of_the_network(digits_run):
    subject = Subject.of(digits_run.path)
    data, preprocess = digits_run.dataset(), digits_run.preprocess
    wanted = preprocess.normalise(data.test.pixels(preprocess)[[2, 5]])
    assert torch.equal(subject.inputs(["test/2", "test/5"]), wanted)


def test_a_prepared_picture_is_not_prepared_twice():
    model = opsin.build_model("lenet5", classes=3, channels=1, size=28, seed=0)
    cropping = model.preprocess.model_copy(update={"crop": 0.5})
    model = opsin.Classifier(model.module, model.classes, cropping)
    subject = Subject.of(model)
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 1), dtype=np.uint8)
    seen = subject.images.put(pixels, "drawn")
    again = type(seen)(seen.id, seen.pixels, None, "drawn", prepared=True)
    assert torch.equal(subject.input_of(again), cropping.normalise(pixels[None]))
    assert not torch.equal(subject.input_of(again), subject.input_of(seen))


def test_a_run_without_weights_says_why(make_run):
    run = make_run()
    shutil.rmtree(run.path / "weights", ignore_errors=True)
    subject = Subject.of(run)
    assert subject.model_missing
    with pytest.raises(OpsinError):
        subject.model  # noqa: B018


def test_a_model_has_no_run():
    subject = Subject.of(opsin.build_model("lenet5", classes=3, channels=1, size=28))
    with pytest.raises(OpsinError, match="open the run that trained it"):
        subject.need_run()
    with pytest.raises(OpsinError):
        subject.data  # noqa: B018


def test_nothing_there(tmp_path):
    with pytest.raises(OpsinError):
        Subject.of(tmp_path / "nothing")


def test_what_is_forgotten_is_read_anew(make_run):
    subject = Subject.of(make_run())
    before = subject.material.run.steps
    with (subject.run.path / "steps.jsonl").open("a") as file:
        file.write('{"step": 999999, "loss": 0.5}\n')
    assert subject.run.steps == before
    subject.forget()
    assert subject.run.steps[-1]["step"] == 999999
    assert subject.images.groups()
