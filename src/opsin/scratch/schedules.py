"""How the learning rate changes over training: a factor for every step."""

from __future__ import annotations

import math


def step_decay(step: int, every: int, factor: float = 0.1) -> float:
    """Multiplies the learning rate by a factor after every so many steps: `factor ** (step // every)`.

    Args:
        step: steps taken before.
        every: steps between two changes, at least 1.
        factor: by which it is multiplied.
    """
    if every < 1:
        raise ValueError(f"every was given as {every}; expected at least 1 step")
    return factor ** (step // every)


def cosine(step: int, steps: int, warmup: int = 0) -> float:
    """Half a cosine wave from 1 down to 0 (Loshchilov and Hutter 2017), after a straight rise over `warmup` steps.

    Args:
        step: steps taken before.
        steps: of the whole training, at least 1.
        warmup: of the rise, fewer than `steps`.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"{warmup} steps of warmup were given for a training of {steps} steps; expected fewer")
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * min(step - warmup, steps - warmup) / (steps - warmup))) / 2
