"""What a report carries of a network, and why some networks are not live in one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.reporting.conftest import record_tiny
from torch import Tensor, nn

import opsin
from opsin.data.preprocess import Preprocess
from opsin.reporting.views import offline
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack
from opsin.training.run import Run


def subject_of(module: nn.Module) -> Subject:
    return Subject.of(opsin.Classifier(module.eval(), ("a", "b", "c"), Preprocess.simple(1, 8)))


def small(*middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), *middle, nn.Flatten(), nn.Linear(2 * 36, 3))


def test_a_small_network_is_carried_whole():
    module = small(nn.BatchNorm2d(2), nn.ReLU())
    subject = subject_of(module)
    drawn = subject.images.put(np.full((5, 9, 3), 7, np.uint8), "drawn")
    found = offline.offline(subject, [drawn.id])
    assert isinstance(found, dict)
    assert [node["name"] for node in found["nodes"]] == ["input", "0", "1", "2", "3", "4"]
    assert found["nodes"][1]["arguments"]["weight"] == {"weight": "0.weight"}
    assert found["nodes"][2]["arguments"]["input"] == {"node": "0"}
    assert found["output"] == "4"
    state = module.state_dict()
    assert set(found["weights"]) == {name for name in state if "num_batches" not in name}
    assert all((found["weights"][name] == state[name].numpy()).all() for name in found["weights"])
    assert found["classes"] == ["a", "b", "c"]
    assert Preprocess.load(found["preprocess"]) == subject.model.preprocess
    (picture,) = found["pictures"]
    assert (picture["id"], picture["name"], picture["label"], picture["prepared"]) == (drawn.id, "drawn", None, False)
    assert (picture["pixels"] == 7).all()
    pack(found)  # nothing in it that a report could not hold


def test_a_run_brings_its_probe(tmp_path):
    record_tiny(tmp_path / "tiny")
    run = Run(tmp_path / "tiny")
    model = opsin.Classifier(small().eval(), ("a", "b", "c"), Preprocess.simple(1, 8))
    found = offline.offline(Subject("tiny", run, lambda: model))
    assert isinstance(found, dict)
    assert [picture["id"] for picture in found["pictures"]] == [f"probe/{at}" for at in range(6)]
    assert all(picture["prepared"] and picture["pixels"].shape == (8, 8, 1) for picture in found["pictures"])


def test_pictures_stop_where_the_room_ends(monkeypatch):
    subject = subject_of(small())
    ids = [subject.images.put(np.full((10, 10, 1), value, np.uint8), "").id for value in range(4)]
    monkeypatch.setattr(offline, "MOST_PICTURE_BYTES", 250)
    found = offline.offline(subject, [*ids[:1], "own/gone", *ids[1:]])
    assert isinstance(found, dict)
    assert [picture["id"] for picture in found["pictures"]] == ids[:2]


class Own(nn.Module):
    """A network with one odd step between its convolution and its linear layer."""

    def __init__(self, step: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.step, self.net, self.end = step, nn.Conv2d(1, 2, 3), nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(torch.flatten(self.step(self.net(x)), 1))


def own(step: Callable[[Tensor], Tensor]) -> nn.Module:
    module = Own(step)
    module(torch.zeros(1, 1, 8, 8))
    return module


CANNOT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "an unknown operation": (lambda: own(torch.sin), "sin (at sin) is not one of the operations that run in a browser"),
    "an unknown argument": (
        lambda: own(lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")),
        "pad (at pad) uses mode='reflect'",
    ),
    "a cut as padding": (lambda: own(lambda x: F.pad(x, (-1, 0))), "pad (at pad) uses pad=[-1, 0]"),
    "a rounded division": (lambda: own(lambda x: torch.div(x, 2, rounding_mode="floor")), "uses rounding_mode='floor'"),
    "statistics of the batch": (
        lambda: small(nn.BatchNorm2d(2, track_running_stats=False)),
        "batch_norm (at 1) uses training=True",
    ),
    "whole numbers": (lambda: own(lambda x: x + (x > 0)), "gt (at gt) is not one of the operations"),
    "a vector times a matrix": (lambda: own(lambda x: x @ x[0, 0, 0]), "matmul (at matmul) takes select"),
    "too many weights": (lambda: small(nn.Flatten(), nn.Linear(72, 6900), nn.Linear(6900, 72)), "it has 1,000,"),
    "a wrong shape": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(65, 3)), "it fails at 1: "),
    "a way that depends on the picture": (
        lambda: own(lambda x: x.relu() if x.sum() > 0 else x),
        "torch.export cannot follow this network",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_a_network_that_cannot_be_live_says_why_in_one_line(case):
    make, reason = CANNOT[case]
    found = offline.offline(subject_of(make()))
    assert isinstance(found, str)
    assert reason in found
    assert "\n" not in found


def test_a_network_that_takes_no_pictures_is_not_live():
    subject = Subject.of(opsin.Classifier(small().eval(), ("a", "b", "c")))
    assert offline.offline(subject) == "it has no Preprocess, which says how a picture becomes its input"
