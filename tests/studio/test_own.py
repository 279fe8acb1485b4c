"""A class out of a tutorial, opened with as little as it came with."""

import pytest
import torch

from opsin.errors import OpsinError
from opsin.studio.own import open_to_look

TUTORIAL = """
import torch
from torch import nn
import torch.nn.functional as F

class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(FLAT, 16)
        self.fc2 = nn.Linear(16, 7)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))

class Asks(CNN):
    def __init__(self, num_classes=3, in_channels=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3)
        self.fc2 = nn.Linear(16, num_classes)

class AnySize(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))

class Bare(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(TUTORIAL.replace("FLAT", "1600"))
    (tmp_path / "wrong.py").write_text(TUTORIAL.replace("FLAT", "10816"))
    return tmp_path


def about(model):
    return model.preprocess.channels, model.preprocess.height, model.preprocess.width, len(model.classes)


def test_size_channels_and_classes_are_found_out(here):
    untrained = open_to_look("my.py:CNN")
    assert about(untrained) == (1, 28, 28, 7)
    assert not untrained.module.training
    torch.save(untrained.module.state_dict(), "cnn.pth")
    trained = open_to_look("my.py:CNN", weights="cnn.pth")
    assert about(trained) == (1, 28, 28, 7)
    torch.testing.assert_close(trained.module.state_dict(), untrained.module.state_dict())


def test_an_untrained_network_is_the_same_each_time(here):
    """Each worker makes its own."""
    first, second = open_to_look("my.py:CNN"), open_to_look("my.py:CNN")
    torch.testing.assert_close(first.module.state_dict(), second.module.state_dict(), rtol=0, atol=0)


def test_what_is_given_is_taken(here):
    assert about(open_to_look("my.py:CNN", size=30, classes=list("abcdefg"))) == (1, 30, 30, 7)
    assert about(open_to_look("my.py:Asks")) == (1, 28, 28, 3)
    assert about(open_to_look("my.py:Asks", channels=3, classes=["x", "y"])) == (3, 28, 28, 2)


def test_a_network_that_takes_many_sizes_needs_to_be_told(here):
    with pytest.raises(OpsinError, match=r"takes pictures of 28, 32, 64 ... pixels; give the side .* --size 32"):
        open_to_look("my.py:AnySize")
    assert about(open_to_look("my.py:AnySize", size=40)) == (3, 40, 40, 2)


def test_a_wrong_flatten_is_named_and_can_be_looked_at(here):
    with pytest.raises(OpsinError, match=r"with 28 x 28 pixels: .*1600.*10816.*: opsin studio wrong.py:CNN --size 28$"):
        open_to_look("wrong.py:CNN")
    assert about(open_to_look("wrong.py:CNN", size=28)) == (1, 28, 28, 7)


def test_a_network_without_a_linear_layer_needs_its_classes(here):
    with pytest.raises(OpsinError, match=r"my.py:Bare holds no linear layer .* give --classes a,b,c"):
        open_to_look("my.py:Bare")
    assert about(open_to_look("my.py:Bare", classes=["a", "b", "c"], size=8)) == (3, 8, 8, 3)


def test_weights_of_another_network_are_refused(here):
    torch.save(open_to_look("my.py:CNN").module.state_dict(), "cnn.pth")
    with pytest.raises(OpsinError, match="conv1"):
        open_to_look("my.py:AnySize", weights="cnn.pth", size=28)
