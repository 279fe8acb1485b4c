from __future__ import annotations

import pytest
import torch
from torch import nn

from opsin.models.zoo.lenet5 import lenet5


@pytest.mark.parametrize(("side", "padding"), [(28, 2), (32, 0)])
def test_both_classic_sizes_reach_400_features(side: int, padding: int):
    module = lenet5(10, 1, (side, side))
    assert module.conv1.padding == (padding, padding)
    assert module.fc1.in_features == 400
    assert sum(item.numel() for item in module.parameters()) == 61_706
    assert module(torch.zeros(2, 1, side, side)).shape == (2, 10)


def test_the_smallest_input_works():
    assert lenet5(3, 1, (12, 12))(torch.zeros(1, 1, 12, 12)).shape == (1, 3)


def test_the_modern_variant_uses_relu_and_max_pooling():
    kinds = {type(part) for part in lenet5(10, 1, (28, 28), activation="relu", pooling="max").modules()}
    assert {nn.ReLU, nn.MaxPool2d} <= kinds
    assert not {nn.Tanh, nn.AvgPool2d} & kinds
