from __future__ import annotations

import pytest
import torch

from opsin.errors import OpsinError
from opsin.models.cost import cost
from opsin.models.zoo.conv_bn import conv_bn


@pytest.mark.parametrize(
    ("widths", "pools", "sides", "millions"),
    [
        ((16, 32, 56, 88, 88), (1, 3), (28, 14, 14, 7, 7), 9.8),
        ((16, 32, 64, 96, 128), (2, 4), (28, 28, 14, 14, 7), 23.6),
    ],
)
def test_costs_what_hand_arithmetic_says(widths: tuple, pools: tuple, sides: tuple, millions: float):
    inputs = (1, *widths)
    by_hand = sum(9 * inputs[i] * width * sides[i] ** 2 for i, width in enumerate(widths)) + widths[-1] * 10
    assert cost(conv_bn(10, 1, (28, 28), widths=widths, pools=pools), (1, 28, 28)).macs == by_hand
    assert round(by_hand / 1e6, 1) == millions


def test_pools_follow_the_named_convolutions():
    module = conv_bn(3, 1, (32, 32), widths=(4, 4, 4), pools=(2,))
    assert module.blocks[:1](torch.zeros(1, 1, 32, 32)).shape[-1] == 32
    assert module.blocks[:2](torch.zeros(1, 1, 32, 32)).shape[-1] == 16


def test_a_skip_adds_the_input_where_the_widths_agree():
    module = conv_bn(3, 1, (8, 8), widths=(4, 4), pools=(), skip=True).eval()
    assert [block.skip for block in module.blocks] == [False, True]
    x = torch.rand(1, 4, 8, 8)
    block = module.blocks[1]
    assert torch.equal(block(x), x + block.activation(block.bn(block.conv(x))))


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"pools": (0,)}, {"pools": (6,)}])
def test_widths_and_pools_are_checked(wrong: dict):
    with pytest.raises(OpsinError, match="pools that name convolutions"):
        conv_bn(3, 1, (28, 28), **wrong)


def test_more_pools_than_the_size_has_are_refused():
    with pytest.raises(OpsinError, match="needs at least 32 x 32"):
        conv_bn(3, 1, (28, 28), pools=(1, 2, 3, 4, 5))
