"""Laws that every network of the zoo obeys."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from opsin.models.zoo.index import NATURAL_SIZE, ZOO

SMALL = [name for name in ZOO if name != "efficientnet_lite0"]


def test_every_network_has_a_natural_size():
    assert set(ZOO) == set(NATURAL_SIZE)


@pytest.mark.parametrize("name", ZOO)
def test_arguments_are_explicit(name: str):
    parameters = inspect.signature(ZOO[name]).parameters
    assert list(parameters)[:3] == ["classes", "channels", "size"]
    assert not [item for item in parameters.values() if item.kind in (item.VAR_KEYWORD, item.VAR_POSITIONAL)]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (2, (32, 40)), (3, (64, 64)), (4, (48, 28))])
def test_any_channels_and_sizes_train(name: str, channels: int, size: tuple[int, int], train_step):
    torch.manual_seed(0)
    module = ZOO[name](7, channels, size)
    assert torch.isfinite(torch.tensor(train_step(module, torch.randn(3, channels, *size), 7)))


@pytest.mark.parametrize("name", SMALL)
def test_no_layer_overwrites_its_input(name: str):
    assert not [part for part in ZOO[name](3, 1, (28, 28)).modules() if getattr(part, "inplace", False)]


@pytest.mark.parametrize("name", SMALL)
def test_every_layer_is_a_module_that_hooks_see(name: str):
    module = ZOO[name](3, 1, (28, 28)).eval()
    seen: list[nn.Module] = []
    leaves = [part for part in module.modules() if not list(part.children())]
    for part in leaves:
        part.register_forward_hook(lambda part, *_: seen.append(part))
    module(torch.randn(1, 1, 28, 28))
    assert set(seen) == set(leaves)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "lenet5"])
def test_dropout_is_an_option_that_acts_in_training_only(name: str):
    module = ZOO[name](3, 1, (28, 28), dropout=0.5)
    x = torch.randn(2, 1, 28, 28)
    assert not torch.equal(module.train()(x), module(x))
    assert torch.equal(module.eval()(x), module(x))
