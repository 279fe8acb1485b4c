"""Random draws of a step, as functions of (seed, step) alone: a resumed run draws what an uninterrupted one would."""

from __future__ import annotations

import torch


def step_generator(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step's augmentation and mixing, as a function of (seed, step) alone, so that a resumed
    run draws what an uninterrupted one would."""
    return torch.Generator().manual_seed(_mixed(seed, step) ^ 0x5DEECE66D)


def seed_layers(seed: int, step: int) -> None:
    """Seed what layers draw from (dropout) for one step.

    Not with `torch.manual_seed`: for every kind of device that is not in use it formats and keeps a stack trace, which
    costs a small network a tenth of its time, and memory without end.
    """
    value = _mixed(seed, step)
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(value)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(value)


def _mixed(seed: int, step: int) -> int:
    """63 bits that differ thoroughly between neighbouring steps: splitmix64's finaliser (Steele et al. 2014)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step + 1) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ (mixed >> 31)) >> 1
