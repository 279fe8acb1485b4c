"""How the learning rate changes over the steps of a phase, as a factor of its peak."""

from __future__ import annotations

import math
from collections.abc import Callable

from opsin.errors import OpsinError

ONE_CYCLE_START = 1 / 25
"""Factor of a one-cycle schedule's first step: 1 / `div_factor` of PyTorch's OneCycleLR."""

ONE_CYCLE_END = ONE_CYCLE_START / 1e4
"""Factor of its last step: PyTorch's `final_div_factor` counts from the first step's rate, not from the peak."""

Schedule = Callable[[int], float]


def build_schedule(kind: str, *, total: int, warmup: float, every: int, gamma: float) -> Schedule:
    """A schedule: the factor in 0..1 of the peak learning rate at a step, counted from 0 to `total` - 1.

    - `constant`: 1.
    - `step`: times `gamma` after every `every` steps.
    - `cosine`: up in a straight line, then down to 0 along half a cosine (Loshchilov, Hutter, "SGDR: stochastic
      gradient descent with warm restarts", 2017, without restarts). The first step has a rate above 0, and 0 itself
      would be reached at step `total`, so that every step learns.
    - `one_cycle`: from 1/25 up to 1 and down to 1/250,000, both along half a cosine (Smith, Topin, "Super-
      convergence: very fast training of neural networks using large learning rates", 2018), with the conventions of
      `torch.optim.lr_scheduler.OneCycleLR`: `div_factor` 25, `final_div_factor` 1e4, cosine annealing. Momentum
      stays as it is. A single step has factor 1.

    Args:
        kind: one of the names above.
        total: steps of the phase.
        warmup: share of them over which the rate rises (`cosine`, `one_cycle`), 0 up to, but not including, 1.
        every: steps between two drops (`step`).
        gamma: factor of each drop (`step`).

    Raises:
        OpsinError: the kind is unknown.
    """
    if kind == "constant":
        return lambda step: 1.0  # noqa: ARG005
    if kind == "step":
        return lambda step: gamma ** (step // every)
    if kind == "cosine":
        return lambda step: _cosine(step, total, warmup * total)
    if kind == "one_cycle":
        return lambda step: _one_cycle(step, total, warmup * total - 1)
    raise OpsinError(f"schedule {kind!r} is unknown; expected constant, step, cosine or one_cycle")


def _cosine(step: int, total: int, rising: float) -> float:
    if step < rising:
        return (step + 1) / (rising + 1)
    return _half_cosine(1.0, 0.0, (step - rising) / (total - rising))


def _one_cycle(step: int, total: int, peak: float) -> float:
    """`peak` is the step, not always a whole one, at which the rate is highest."""
    if total == 1:
        return 1.0
    if step <= peak:
        return _half_cosine(ONE_CYCLE_START, 1.0, step / peak if peak else 1.0)
    return _half_cosine(1.0, ONE_CYCLE_END, (step - peak) / (total - 1 - peak))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
