"""The answer while the picture is moved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.models.classifier import Classifier
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Its first class likes ink on the left half, its second on the right."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(100, 2, bias=False))
    left = torch.zeros(10, 10)
    left[:, :5] = 1
    with torch.no_grad():
        module[1].weight.copy_(torch.stack([left.flatten(), 1 - left.flatten()]))
    preprocess = Preprocess.simple(channels=1, size=10)
    return Subject.of(Classifier(module, classes=["left", "right"], preprocess=preprocess))


@pytest.fixture(scope="module")
def image(subject: Subject) -> str:
    pixels = np.zeros((10, 10, 1), np.uint8)
    pixels[4:7, 1:3] = 255
    return answer(subject, "put", {"pixels": pixels})["id"]


def test_the_curve_follows_what_the_network_likes(subject: Subject, image: str):
    found = answer(subject, "response", {"image": image, "change": "shift_x", "values": [0, 2, 4, 6]})
    assert found["values"].tolist() == [0, 2, 4, 6]
    left = found["probabilities"][:, 0]
    assert left[0] > 0.9
    assert left[-1] < 0.1
    assert (np.diff(left) <= 0).all()


@pytest.mark.parametrize("change", ["shift_y", "shift_x", "rotate", "scale"])
def test_each_point_is_the_answer_to_the_moved_picture(subject: Subject, image: str, change: str):
    values = [0.5, 1.0, 1.5]
    found = answer(
        subject, "response", {"image": image, "change": change, "values": values, "rotate": 10, "shift": [1, 1]}
    )
    for value, probabilities in zip(values, found["probabilities"], strict=True):
        move = {"rotate": 10.0, "shift": [1.0, 1.0], "scale": 1.0}
        if change.startswith("shift"):
            move["shift"][change == "shift_x"] = value
        else:
            move[change] = value
        alone = answer(subject, "maps", {"image": image, "layers": [], **move})["probabilities"]
        np.testing.assert_allclose(probabilities, alone, rtol=1e-5)


def test_bad_values_are_refused(subject: Subject, image: str):
    for args, said in (
        ({"change": "colour", "values": [1]}, "change"),
        ({"change": "scale", "values": []}, "values"),
        ({"change": "scale", "values": [0]}, "scale was given as 0"),
        ({"change": "rotate", "values": [0] * 999}, "values"),
    ):
        with pytest.raises(OpsinError, match=said):
            answer(subject, "response", {"image": image, **args})
