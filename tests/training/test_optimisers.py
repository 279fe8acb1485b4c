"""Optimisers: which there are, what decays, and that every one goes on exactly from a checkpoint."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from timm.optim import list_optimizers
from torch import nn

from opsin.errors import OpsinError
from opsin.training.checkpoint import optimiser_arrays, restore_optimiser
from opsin.training.optimisers import build_optimiser

INPUTS = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On numbers as few as these, two threads mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    ).to(memory_format=torch.channels_last)  # fmt: skip


def build(module: nn.Module, name: str, weight_decay: float = 0.01, momentum: float = 0.9) -> torch.optim.Optimizer:
    return build_optimiser(module, name, lr=0.01, weight_decay=weight_decay, momentum=momentum)


def step(module: nn.Module, optimiser: torch.optim.Optimizer, number: int) -> float:
    torch.manual_seed(number)
    for group in optimiser.param_groups:
        group["lr"] = 0.01 * (1 - number / 10)
    loss = F.cross_entropy(module(INPUTS), LABELS)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    return loss.item()


def usable() -> list[str]:
    """Every name that works on a bare CPU; `test_what_cannot_be_used_is_said` looks at the others."""
    return [name for name in list_optimizers() if not name.startswith(("bnb", "fused", "kron", "adahessian"))]


def test_there_are_many() -> None:
    assert {"sgd", "adam", "adamw", "lamb", "lion", "muon", "rmsprop"} <= set(usable())


@pytest.mark.parametrize("name", usable())
def test_every_one_goes_on_exactly_from_a_checkpoint(name: str) -> None:
    module = network()
    optimiser = build(module, name)
    losses = [step(module, optimiser, number) for number in range(3)]
    arrays, plain = optimiser_arrays(optimiser)
    other = network()
    other.load_state_dict(module.state_dict())
    resumed = build(other, name)
    restore_optimiser(resumed, arrays, json.loads(json.dumps(plain)))
    for number in range(3, 6):
        assert step(module, optimiser, number) == step(other, resumed, number)
    assert all(
        torch.equal(a, b) for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert all(torch.isfinite(tensor).all() for tensor in module.state_dict().values())
    assert losses[2] != losses[0]  # it moved


def test_without_its_state_an_optimiser_goes_elsewhere() -> None:
    """The planted fault: the test above could not pass with an empty checkpoint."""
    module = network()
    optimiser = build(module, "adamw")
    for number in range(3):
        step(module, optimiser, number)
    other = network()
    other.load_state_dict(module.state_dict())
    resumed = build(other, "adamw")
    for number in range(3, 6):
        step(module, optimiser, number), step(other, resumed, number)
    assert not torch.equal(module[0].weight, other[0].weight)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw", "lion"])
def test_only_weights_decay(name: str) -> None:
    module = network()
    optimiser = build(module, name, weight_decay=0.3)
    decayed = {id(p) for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(module[0].weight), id(module[4].weight)}
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0, 0.3}
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(module.parameters()))


def test_frozen_weights_are_left_out() -> None:
    module = network()
    module[0].requires_grad_(False)
    held = {id(p) for group in build(module, "adamw").param_groups for p in group["params"]}
    assert held == {id(p) for part in module[1:] for p in part.parameters()}


def slow_sgd(weight: torch.Tensor, gradients: list[torch.Tensor], decay: float, momentum: float) -> torch.Tensor:
    """Nesterov's momentum as Sutskever et al. (2013) and PyTorch write it."""
    velocity = torch.zeros_like(weight)
    for gradient in gradients:
        slope = gradient + decay * weight
        velocity = momentum * velocity + slope
        weight = weight - 0.01 * (slope + momentum * velocity)
    return weight


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_sgd_is_nesterovs(momentum: float) -> None:
    module = nn.Linear(3, 2, bias=False)
    start = module.weight.detach().clone()
    optimiser = build(module, "sgd", weight_decay=0.1, momentum=momentum)
    gradients = [torch.full((2, 3), value) for value in (1.0, -2.0, 0.5)]
    for gradient in gradients:
        module.weight.grad = gradient.clone()
        optimiser.step()
    torch.testing.assert_close(module.weight.detach(), slow_sgd(start, gradients, 0.1, momentum))


def test_pytorchs_own_are_fused() -> None:
    assert all(build(network(), name).param_groups[0]["fused"] for name in ("sgd", "adam", "adamw"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sdg", r"optimizer 'sdg' is unknown \(did you mean sgd"),
        ("adamv", "did you mean adam"),
        ("qqqqqq", "'qqqqqq' is unknown; expected sgd, adam, adamw or a name of timm.optim"),
        ("adahessian", "'adahessian' needs second derivatives"),
        ("kron", "'kron' draws numbers of its own"),
        ("kronw", "'kronw' draws numbers of its own"),
    ],
)
def test_what_cannot_be_used_is_said(name: str, message: str) -> None:
    with pytest.raises(OpsinError, match=message) as error:
        build(network(), name)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="these work with CUDA where their packages are installed")
@pytest.mark.parametrize("name", [name for name in list_optimizers() if name.startswith(("bnb", "fused"))])
def test_what_needs_cuda_is_refused_without(name: str) -> None:
    with pytest.raises(OpsinError, match=f"{name!r} cannot be used here.*try adamw or sgd") as error:
        build(network(), name)
    assert "\n" not in str(error.value)


def test_a_network_without_weights() -> None:
    with pytest.raises(OpsinError, match="Flatten has no weights that learn"):
        build(nn.Flatten(), "adamw")
