from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from opsin.errors import OpsinError
from opsin.models.build import build_model
from opsin.models.sources.names import is_code

SOURCE = """
from torch import nn
from neighbour import WIDTH

class CNN(nn.Module):
    def __init__(self, classes, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, WIDTH, 3)
        self.fc = nn.Linear(WIDTH, classes)
    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))

class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)
    def forward(self, x):
        return self.fc(x.mean((2, 3)))

class Wide(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(3, width)

ready = Fixed()
number = 3
def broken(num_classes): raise ValueError("no luck\\nsecond line")
def not_a_network(): return 3
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("WIDTH = 5\n")
    path = tmp_path / "my net.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(autouse=True)
def forget_modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("opsin_own_") or name == "neighbour":
            del sys.modules[name]


def test_a_class_in_a_file_gets_its_classes_and_channels(code: Path):
    path_before = list(sys.path)
    model = build_model(f"{code}:CNN", ["a", "b"], channels=1, size=16)
    assert sys.path == path_before
    assert model.logits(torch.zeros(3, 1, 16, 16)).shape == (3, 2)
    assert (model.preprocess.channels, model.preprocess.height) == (1, 16)
    assert model.architecture()["source"] == str(code.resolve())


def test_a_constructor_without_those_arguments_is_called_without(code: Path):
    model = build_model(f"{code}:Fixed")
    assert model.classes is None
    assert model.preprocess is None
    assert model.logits(torch.zeros(1, 3, 4, 4)).shape == (1, 4)
    assert model.classes == ("0", "1", "2", "3")


def test_classes_that_the_network_cannot_follow_are_found_when_it_first_runs(code: Path):
    model = build_model(f"{code}:Fixed", ["a", "b"])
    with pytest.raises(OpsinError, match="answers with 4 columns, but 2 classes"):
        model.logits(torch.zeros(1, 3, 4, 4))


def test_a_ready_module_and_options_are_taken(code: Path):
    assert build_model(f"{code}:ready").logits(torch.zeros(1, 3, 4, 4)).shape == (1, 4)
    assert build_model(f"{code}:Wide", options={"width": 6}).module.fc.out_features == 6


def test_an_installed_module_is_imported():
    model = build_model("torchvision.models.resnet:resnet18", options={"num_classes": 3})
    assert model.logits(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{file}:CMM", r"has no 'CMM'.*its networks are CNN, Fixed, Wide"),
        ("{file}:number", "is a int; expected a class"),
        ("{file}:broken", "called with num_classes=3 failed: ValueError: no luck; give"),
        ("{file}:not_a_network", "made a int; expected a torch.nn.Module"),
        ("{file}:Wide", "called with no arguments failed: TypeError"),
        ("{folder}/absent.py:CNN", "there is no file"),
        ("no_such_module_here:CNN", "there is no module 'no_such_module_here'"),
        ("os:CNN", "os has no 'CNN'"),
    ],
)
def test_mistakes_are_answered_in_one_line(code: Path, name: str, message: str):
    with pytest.raises(OpsinError, match=message) as caught:
        build_model(name.format(file=code, folder=code.parent), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["import nothing_of_this_name", "1 / 0", "raise SystemExit(3)", "def f(:"])
def test_code_that_fails_is_reported_and_forgotten(tmp_path: Path, text: str):
    path = tmp_path / "bad.py"
    path.write_text(text + "\n")
    before = set(sys.modules)
    with pytest.raises(OpsinError, match=r"bad\.py failed when it was run: \w+: "):
        build_model(f"{path}:CNN")
    assert not [name for name in set(sys.modules) - before if name.startswith("opsin_own_")]


def test_pretrained_has_no_meaning_for_own_code(code: Path):
    with pytest.raises(OpsinError, match="load a file with weights="):
        build_model(f"{code}:CNN", 3, pretrained=True)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("my.py:CNN", True),
        ("C:\\nets\\my.py:CNN", True),
        ("package.module:make", True),
        ("C:\\runs\\flowers", False),
        ("timm/resnet18", False),
        ("seed_cnn", False),
        (":CNN", False),
    ],
)
def test_names_of_code_are_told_from_others(name: str, code: bool):
    assert is_code(name) is code
