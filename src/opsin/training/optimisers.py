"""Optimisers: PyTorch's own, fused, and everything that timm offers."""

from __future__ import annotations

from typing import Any

import torch
from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers
from torch import nn

from opsin.errors import OpsinError, did_you_mean, first_line

FUSED = ("sgd", "momentum", "nesterov", "adam", "adamw")
"""These update all weights in one kernel; timm's own walk through them one by one or in groups."""


def build_optimiser(
    module: nn.Module, name: str, *, lr: float, weight_decay: float, momentum: float
) -> torch.optim.Optimizer:
    """An optimiser of the weights of `module` that learn.

    Decay applies to weights of two dimensions or more. Biases, the factors and offsets of norms, and what the network
    itself exempts (timm's `no_weight_decay()`) are left alone.

    Args:
        module: the network.
        name: `sgd` (Nesterov's momentum), `adam`, `adamw`, or any name of `timm.optim`.
        lr: peak learning rate.
        weight_decay: as the optimiser understands it: decoupled in adamw, part of the gradient in sgd and adam.
        momentum: 0 up to, but not including, 1, for optimisers that have one.

    Raises:
        OpsinError: the name is unknown, the optimiser cannot be used here, or nothing in the network learns.
    """
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise OpsinError(f"{type(module).__name__} has no weights that learn; expected at least one with requires_grad")
    _check(name)
    options: dict[str, Any] = {"fused": True} if name in FUSED else {}
    if name in ("sgd", "nesterov"):
        options["nesterov"] = momentum > 0
    try:
        return create_optimizer_v2(module, name, lr=lr, weight_decay=weight_decay, momentum=momentum, **options)
    except (AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        reason = first_line(error).rstrip(".")
        raise OpsinError(f"optimizer {name!r} cannot be used here: {reason}; try adamw or sgd") from error


def _check(name: str) -> None:
    known = [str(item) for item in list_optimizers()]
    if name not in known:
        near = did_you_mean(name, known)
        raise OpsinError(f"optimizer {name!r} is unknown{near}; expected sgd, adam, adamw or a name of timm.optim")
    if get_optimizer_info(name).second_order:
        raise OpsinError(f"optimizer {name!r} needs second derivatives, which no step computes; try adamw or sgd")
    if name.startswith("kron"):
        raise OpsinError(f"optimizer {name!r} draws numbers of its own that no resume restores; try adamw or sgd")
