"""Checkpoints: everything comes back bit for bit, into optimisers of every kind."""

import numpy as np
import pytest
import torch
from torch import nn

from opsin.errors import OpsinError
from opsin.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    arrays_to_tensors,
    optimiser_arrays,
    restore_optimiser,
    tensors_to_arrays,
)


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return net.to(memory_format=torch.channels_last)


def take_steps(net: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(3):
        optimiser.zero_grad()
        net(torch.randn(5, 1, 8, 8, generator=generator)).square().mean().backward()
        optimiser.step()


OPTIMISERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "adamw fused": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, fused=True),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, momentum=0.5),
}


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS.keys())
def test_going_on_equals_never_having_stopped(tmp_path, make):
    net = network()
    optimiser = make(net.parameters())
    take_steps(net, optimiser, 1)
    arrays, plain = optimiser_arrays(optimiser)
    Checkpoint({"optimiser": plain}, {"module": tensors_to_arrays(net.state_dict()), "optimiser": arrays}).save(
        tmp_path
    )
    take_steps(net, optimiser, 2)

    loaded = Checkpoint.load(tmp_path)
    again = network()
    again.load_state_dict(arrays_to_tensors(loaded.groups["module"]))
    resumed = make(again.parameters())
    restore_optimiser(resumed, loaded.groups["optimiser"], loaded.values["optimiser"])
    take_steps(again, resumed, 2)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_without_the_optimisers_state_it_would_end_elsewhere():
    """The planted fault: were the state not needed, the test above would prove nothing."""
    net = network()
    optimiser = OPTIMISERS["adam"](net.parameters())
    take_steps(net, optimiser, 1)
    again = network()
    again.load_state_dict(net.state_dict())
    take_steps(net, optimiser, 2)
    take_steps(again, OPTIMISERS["adam"](again.parameters()), 2)
    assert not torch.equal(net[0].weight, again[0].weight)


def test_bfloat16_survives():
    tensor = torch.tensor([1.0, -2.5, 3e30], dtype=torch.bfloat16)
    back = arrays_to_tensors(tensors_to_arrays({"a": tensor}))["a"]
    assert torch.equal(back.to(torch.bfloat16), tensor)


def test_a_missing_or_damaged_checkpoint_is_one_line(tmp_path):
    with pytest.raises(OpsinError, match="has no checkpoint to resume from"):
        Checkpoint.load(tmp_path)
    Checkpoint({"step": 3}, {"a": {"b": np.zeros(2)}}).save(tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[:-4])
    with pytest.raises(OpsinError, match="cannot read") as error:
        Checkpoint.load(tmp_path)
    assert "\n" not in str(error.value)
