"""Factors of the peak learning rate, held against PyTorch's own schedulers and the formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from opsin.errors import OpsinError
from opsin.training.schedules import build_schedule


def factors(kind: str, total: int, *, warmup: float = 0.25, every: int = 5, gamma: float = 0.7) -> list[float]:
    schedule = build_schedule(kind, total=total, warmup=warmup, every=every, gamma=gamma)
    return [schedule(step) for step in range(total)]


@pytest.mark.parametrize("total", [2, 7, 100])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.9])
def test_one_cycle_is_pytorchs(total: int, warmup: float) -> None:
    if warmup * total == 1:
        pytest.skip("PyTorch divides by zero here")
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.3, total_steps=total, pct_start=warmup, cycle_momentum=False
    )
    for factor in factors("one_cycle", total, warmup=warmup):
        assert 0.3 * factor == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        if theirs.last_epoch + 1 < total:
            theirs.step()


def test_cosine_is_pytorchs_after_the_warm_up() -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=30)
    expected = []
    for _ in range(30):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()
    assert factors("cosine", 30, warmup=0.0) == pytest.approx(expected)
    warm = factors("cosine", 40, warmup=0.25)
    assert warm[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert warm[10:] == pytest.approx(expected)


def test_step_drops_and_constant_stays() -> None:
    assert factors("step", 12, every=5, gamma=0.5) == [1.0] * 5 + [0.5] * 5 + [0.25] * 2
    assert factors("constant", 9) == [1.0] * 9


def test_the_ends_of_one_cycle() -> None:
    found = factors("one_cycle", 100, warmup=0.25)
    assert found[0] == pytest.approx(1 / 25)
    assert found[24] == pytest.approx(1)
    assert found[-1] == pytest.approx(1 / 250_000)
    assert factors("one_cycle", 4, warmup=0.25)[0] == 1.0  # the peak is the very first step


@given(
    st.sampled_from(["constant", "step", "cosine", "one_cycle"]),
    st.integers(1, 60),
    st.floats(0, 0.99),
    st.integers(1, 20),
    st.floats(0.01, 1),
)
def test_every_step_learns_and_none_beyond_the_peak(
    kind: str, total: int, warmup: float, every: int, gamma: float
) -> None:
    found = factors(kind, total, warmup=warmup, every=every, gamma=gamma)
    assert all(math.isfinite(factor) and 0 < factor <= 1 for factor in found)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


def test_an_unknown_kind() -> None:
    with pytest.raises(OpsinError, match="'linear' is unknown; expected constant, step, cosine or one_cycle"):
        build_schedule("linear", total=1, warmup=0, every=1, gamma=1)
