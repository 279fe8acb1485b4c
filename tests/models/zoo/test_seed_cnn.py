from __future__ import annotations

import pytest
import torch

from opsin.errors import OpsinError
from opsin.models.zoo.seed_cnn import seed_cnn


def test_is_the_network_of_the_lesson():
    module = seed_cnn(10, 1, (28, 28))
    assert sum(item.numel() for item in module.parameters()) == 225_034
    assert module.fc1.in_features == 64 * 5 * 5
    shapes = {}
    for name, part in module.named_children():
        part.register_forward_hook(lambda *call, name=name: shapes.update({name: tuple(call[2].shape[1:])}))
    module(torch.zeros(1, 1, 28, 28))
    assert list(shapes) == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "fc1", "relu3", "dropout", "fc2"]
    assert shapes["conv1"] == (32, 26, 26)
    assert shapes["pool1"] == (32, 13, 13)
    assert shapes["conv2"] == (64, 11, 11)
    assert shapes["pool2"] == (64, 5, 5)


def test_the_smallest_input_works_and_a_smaller_one_is_refused():
    assert seed_cnn(2, 1, (10, 10))(torch.zeros(1, 1, 10, 10)).shape == (1, 2)
    with pytest.raises(OpsinError, match=r"9 x 30 pixels and needs at least 10 x 10"):
        seed_cnn(2, 1, (9, 30))
