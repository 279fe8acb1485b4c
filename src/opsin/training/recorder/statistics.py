"""Numbers about a training step: gradient norms, update-to-weight ratios, and the birth and death of channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn


def layer_parameters(module: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The parameters of each layer that owns some, by the layer's path in `named_modules()`."""
    return {
        name or "(root)": own for name, part in module.named_modules() if (own := list(part.parameters(recurse=False)))
    }


def gradient_norms(layers: Mapping[str, list[nn.Parameter]]) -> dict[str, float]:
    """L2 norm of the gradient of each layer's parameters together, as the last backward pass left it."""
    found = {name: [p.grad for p in own if p.grad is not None] for name, own in layers.items()}
    flat = [grad for grads in found.values() for grad in grads]
    if not flat:
        return {}
    squares = torch.stack(torch._foreach_norm(flat)).square().tolist()
    norms, start = {}, 0
    for name, grads in found.items():
        if grads:
            norms[name] = float(np.sqrt(sum(squares[start : start + len(grads)])))
            start += len(grads)
    return norms


def copy_parameters(layers: Mapping[str, list[nn.Parameter]]) -> dict[str, list[torch.Tensor]]:
    """Detached copies, taken before an update to measure how large it is."""
    return {name: [p.detach().clone() for p in own] for name, own in layers.items()}


def update_ratios(
    before: Mapping[str, list[torch.Tensor]], layers: Mapping[str, list[nn.Parameter]]
) -> dict[str, float]:
    """L2 norm of one update divided by the norm of the weights before it, per layer; 0 where the weights are 0."""
    ratios = {}
    for name, own in layers.items():
        if name not in before:
            continue
        pairs = list(zip(before[name], own, strict=True))
        weight = sum(float(old.square().sum()) for old, _ in pairs)
        moved = sum(float((new.detach() - old).square().sum()) for old, new in pairs)
        ratios[name] = float(np.sqrt(moved / weight)) if weight > 0 else 0.0
    return ratios


class Lifetimes:
    """When channels die (above zero for no probe image) and come back; the same for saturation.

    A channel that is dead in the untrained network counts as dead from the first snapshot on.
    """

    def __init__(self) -> None:
        self._alive: dict[str, np.ndarray] = {}
        self._saturated: dict[str, np.ndarray] = {}

    def update(
        self, step: int, alive: Mapping[str, np.ndarray], saturated: Mapping[str, np.ndarray]
    ) -> list[dict[str, Any]]:
        """The events between the last snapshot and this one."""
        events = []
        for known, now, gone, back in (
            (self._alive, {name: ~mask for name, mask in alive.items()}, "dead", "revived"),
            (self._saturated, saturated, "saturated", "unsaturated"),
        ):
            for layer, mask in now.items():
                before = known.get(layer, np.zeros_like(mask))
                for kind, changed in ((gone, mask & ~before), (back, before & ~mask)):
                    if changed.any():
                        events.append(
                            {
                                "kind": kind,
                                "layer": layer,
                                "step": step,
                                "channels": np.flatnonzero(changed).tolist(),
                            }
                        )
                known[layer] = mask.copy()
        return events

    def state(self) -> dict[str, np.ndarray]:
        """Arrays for a checkpoint."""
        return {
            **{f"alive/{layer}": mask for layer, mask in self._alive.items()},
            **{f"saturated/{layer}": mask for layer, mask in self._saturated.items()},
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave."""
        self._alive = {
            key.partition("/")[2]: mask.astype(bool) for key, mask in state.items() if key.startswith("alive/")
        }
        self._saturated = {
            key.partition("/")[2]: mask.astype(bool) for key, mask in state.items() if key.startswith("saturated/")
        }
