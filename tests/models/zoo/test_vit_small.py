from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from opsin.errors import OpsinError
from opsin.models.zoo.vit_small import Attention, vit_small


def test_attention_equals_pytorchs_own():
    torch.manual_seed(0)
    layer = Attention(12, 3).eval()
    x = torch.randn(2, 5, 12)
    query, key, value = layer.qkv(x).reshape(2, 5, 3, 3, 4).permute(2, 0, 3, 1, 4).unbind(0)
    expected = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(2, 5, 12)
    torch.testing.assert_close(layer(x), layer.project(expected))


def test_a_hook_sees_the_attention_weights():
    module = vit_small(3, 1, (28, 28), depth=1)
    seen = []
    module.blocks[0].attention.softmax.register_forward_hook(lambda *call: seen.append(call[2]))
    module(torch.randn(2, 1, 28, 28))
    assert seen[0].shape == (2, 3, 50, 50)
    torch.testing.assert_close(seen[0].sum(-1), torch.ones(2, 3, 50))


def test_positions_matter():
    module = vit_small(3, 1, (8, 8)).eval()
    x = torch.randn(1, 1, 8, 8)
    assert not torch.allclose(module(x), module(x.roll(4, dims=3)))


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [((30, 32), {}, "that 4 divides"), ((32, 32), {"width": 97}, "a width that 3 divides")],
)
def test_what_does_not_divide_is_refused(size: tuple[int, int], options: dict, message: str):
    with pytest.raises(OpsinError, match=message):
        vit_small(3, 1, size, **options)
