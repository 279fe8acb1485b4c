"""Learning rates over training, beside PyTorch's schedulers."""

from __future__ import annotations

import pytest
import torch

from opsin.scratch.networks import LeNet5
from opsin.scratch.optimisers import SGD
from opsin.scratch.schedules import cosine, step_decay


def rates(make, steps: int) -> list[float]:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    scheduler = make(optimiser)
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()
    return found


def test_step_decay_is_that_of_pytorch():
    expected = rates(lambda o: torch.optim.lr_scheduler.StepLR(o, 5, 0.7), 20)
    assert [step_decay(step, 5, 0.7) for step in range(20)] == pytest.approx(expected)


def test_cosine_is_that_of_pytorch():
    expected = rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20), 20)
    assert [cosine(step, 20) for step in range(20)] == pytest.approx(expected)


def test_warmup_rises_to_one():
    found = [cosine(step, 20, 4) for step in range(20)]
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4] == 1
    assert found[-1] < 0.05


def test_what_cannot_be():
    with pytest.raises(ValueError, match="expected fewer"):
        cosine(0, 4, 4)
    with pytest.raises(ValueError, match="at least 1 step"):
        step_decay(0, 0)
    with pytest.raises(ValueError, match="lr was given as"):
        SGD(LeNet5(), float("nan"))
