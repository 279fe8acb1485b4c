"""`opsin trace` from the outside."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from opsin.cli import main
from opsin.errors import OpsinError

TUTORIAL = """
import torch
import torch.nn.functional as F
from torch import nn


class CNN(nn.Module):
    def __init__(self, features={features}):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(features, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        return self.fc1(torch.flatten(x, 1))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A person's own class without a run: one that works, and one with a wrong flatten size; and a picture."""
    monkeypatch.chdir(tmp_path)
    for name, features in (("fits", 6 * 14 * 14), ("wrong", 10816)):
        (tmp_path / f"{name}.py").write_text(TUTORIAL.format(features=features), encoding="utf-8")
        state = {
            "conv1.weight": torch.randn(6, 1, 3, 3), "conv1.bias": torch.randn(6),
            "fc1.weight": torch.randn(10, features), "fc1.bias": torch.randn(10),
        }  # fmt: skip
        torch.save(state, tmp_path / f"{name}.pth")
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "seven.png")
    return lambda name, *flags: main([
        "trace", f"{name}.py:CNN", "seven.png", "--weights", f"{name}.pth", "--size", "28", *flags
    ])  # fmt: skip


def test_without_a_layer_the_layers_are_listed(own, capsys):
    assert own("fits") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["layer", "operation", "shape", "from"]
    assert lines[2] == ["conv1", "conv2d", "6", "x", "28", "x", "28", "input"]
    assert [line[0] for line in lines[1:]] == ["input", "conv1", "relu", "pool", "flatten", "fc1"]


def test_a_number_is_opened(own, capsys):
    assert own("fits", "--layer", "conv1", "--unit", "3,0,5") == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0] == "conv1 (3, 0, 5): conv2d of seven.png"
    assert "channel 0 of input" in text
    assert text.count("padding") >= 6
    assert "conv1.weight (3, 0," in text
    sums = {line.rsplit("  ", 1)[0].strip(): line for line in lines}
    total, value = (next(line for line in lines if line.startswith(word)) for word in ("total", "PyTorch's value"))
    assert float(total.split()[1]) == pytest.approx(float(value.split()[2]), rel=1e-5)
    assert any(name.startswith("sum of 9 products") for name in sums)
    assert lines[-1] == "receptive field: rows 0 to 1, columns 4 to 6 (2 x 3 pixels)"


def test_the_json_is_one_document(own, capsys):
    assert own("fits", "--layer", "fc1", "--unit", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["layer"], found["operation"], found["unit"]) == ("fc1", "linear", [2])
    assert len(found["terms"]) == 1176
    products = sum(term["product"] for term in found["terms"]) + found["bias"]
    assert products == pytest.approx(found["total"])
    assert found["agrees"]
    assert own("fits", "--json") == 0
    graph = json.loads(capsys.readouterr().out)
    assert [node["name"] for node in graph["nodes"]][-1] == graph["output"] == "fc1"


def test_a_network_that_fails_is_shown_up_to_there(own, capsys):
    assert own("wrong") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].split()[:4] == ["fc1", "linear", "fails", "here"]
    assert err.splitlines() == [
        "opsin: the network fails at fc1: flatten gives 1176, fc1 expects 10816: give fc1 in_features=1176"
    ]
    assert own("wrong", "--layer", "pool", "--unit", "1,2,3") == 0
    assert own("wrong", "--json") == 1
    assert json.loads(capsys.readouterr().out.split("\n{", 1)[-1].join(["{", ""]))["failed"]["node"] == "fc1"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--layer", "conv1"], "--layer conv1 needs --unit"),
        (["--unit", "1,2,3"], "--unit 1,2,3 needs --layer"),
        (["--layer", "conv1", "--unit", "a,b"], "--unit was given as a,b; expected whole numbers"),
        (["--layer", "conv1", "--unit", "1,2"], "expected an index below (6, 28, 28) in conv1"),
        (["--layer", "nothing", "--unit", "1"], "there is no layer 'nothing'"),
    ],
)
def test_misuse_is_one_line(own, flags, message, capsys):
    assert own("fits", *flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_missing_picture_is_misuse(own, capsys, tmp_path):
    (tmp_path / "seven.png").unlink()
    assert own("fits", "--layer", "conv1", "--unit", "1,2,3") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_terms_that_do_not_add_up_fail(own, capsys, monkeypatch):
    from opsin.explanation.tracing.arithmetic import OPENERS
    from opsin.explanation.tracing.arithmetic.opening import Arithmetic

    monkeypatch.setitem(OPENERS, "conv2d", lambda _: Arithmetic(bias=123.0))
    assert own("fits", "--layer", "conv1", "--unit", "1,2,3") == 1
    assert "the terms add up to 123, and PyTorch gives" in capsys.readouterr().err
    assert issubclass(OpsinError, ValueError)
