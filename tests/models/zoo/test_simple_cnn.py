from __future__ import annotations

import pytest
import torch

from opsin.errors import OpsinError
from opsin.models.zoo.simple_cnn import simple_cnn


def test_padding_keeps_the_size_and_the_widths_are_16_and_32():
    module = simple_cnn(10, 1, (28, 28))
    assert module.conv1(torch.zeros(1, 1, 28, 28)).shape == (1, 16, 28, 28)
    assert module.conv2.weight.shape == (32, 16, 3, 3)
    assert module.fc.in_features == 32 * 7 * 7


def test_a_too_small_input_is_refused():
    with pytest.raises(OpsinError, match="needs at least 4 x 4"):
        simple_cnn(2, 1, (3, 8))
