from __future__ import annotations

import pytest
import torch
from torch import nn

from opsin.errors import OpsinError
from opsin.models.zoo.resnet_small import ResidualBlock, resnet_small


def test_a_block_adds_its_input():
    block = ResidualBlock(4, 4, stride=1).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.rand(2, 4, 6, 6)
    assert torch.equal(block(x), x)


def test_stages_halve_the_size_and_take_the_widths():
    module = resnet_small(5, 3, (64, 64), widths=(8, 12, 16, 20), blocks=1)
    assert module.stages(torch.zeros(1, 8, 64, 64)).shape == (1, 20, 8, 8)
    assert [len(stage) for stage in module.stages] == [1, 1, 1, 1]


def test_no_stages_are_refused():
    with pytest.raises(OpsinError, match="at least one of each"):
        resnet_small(5, 3, (32, 32), widths=())
