"""What the tests of networks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are fastest on one thread, and the tests leave the others to their neighbours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def train_step() -> Callable[[nn.Module, torch.Tensor, int], float]:
    """One step of plain SGD on random labels; returns the loss after checking that every kind of weight
    moved."""

    def step(module: nn.Module, inputs: torch.Tensor, classes: int) -> float:
        weights = [item for item in module.parameters() if item.requires_grad]
        watched = {0: weights[0].detach().clone(), -1: weights[-1].detach().clone()}
        module.train()
        logits = module(inputs)
        assert logits.shape == (len(inputs), classes)
        loss = nn.functional.cross_entropy(logits, torch.arange(len(inputs)) % classes)
        loss.backward()
        with torch.no_grad():
            for weight in weights:
                if weight.grad is not None:
                    weight.sub_(0.1 * weight.grad)
        for index, before in watched.items():
            assert not torch.equal(weights[index], before), f"weight {index} did not move"
        return float(loss.detach())

    return step
