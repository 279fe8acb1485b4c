"""Where a computation first stopped being numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from opsin.models.classifier import evaluating


def first_non_finite(module: nn.Module, inputs: torch.Tensor) -> str:
    """The first place, in the order of computation, that holds a NaN or an infinity: the input, a weight or an
    output."""
    if not bool(torch.isfinite(inputs).all()):
        return "the input batch"
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return f"the weights {name}"
    found: list[str] = []
    handles = []

    def look(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not found and isinstance(output, torch.Tensor) and not bool(torch.isfinite(output).all()):
                found.append(f"the output of {name}")

        return hook

    try:
        for name, part in module.named_modules():
            if name and next(part.children(), None) is None:
                handles.append(part.register_forward_hook(look(name)))
        with evaluating(module), torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "the loss itself"
