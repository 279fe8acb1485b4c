"""Random numbers per image."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    """float32 `(count,)`, spread evenly over low..high."""
    return torch.rand(count, generator=generator).mul_(high - low).add_(low)


def coins(count: int, generator: torch.Generator) -> Tensor:
    """bool `(count,)`, every other one True on average."""
    return torch.rand(count, generator=generator) < 0.5


def seed(generator: torch.Generator) -> int:
    """A seed of 32 bits for a random number generator of another library."""
    return int(torch.randint(2**32, (1,), generator=generator))
