"""Exact resume: the whole state of a training run in one file, replaced atomically.

Random draws are no part of the state: order, augmentation and dropout are functions of (seed, step), so that a run
that goes on from a checkpoint takes the very steps that it would have taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opsin.errors import OpsinError
from opsin.files import read_tensors, write_tensors

CHECKPOINT = Path("state") / "checkpoint.safetensors"
WIDENED = ":bfloat16"


@dataclass(frozen=True)
class Checkpoint:
    """Named groups of arrays (weights, optimiser, moving average, recorder ...) and plain values (step, epoch ...)."""

    values: dict[str, Any]
    groups: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def save(self, run: Path) -> None:
        """Write `state/checkpoint.safetensors` of a run folder, atomically."""
        arrays = {f"{group}|{name}": array for group, items in self.groups.items() for name, array in items.items()}
        write_tensors(run / CHECKPOINT, arrays, {"values": json.dumps(self.values)})

    @classmethod
    def load(cls, run: Path) -> Checkpoint:
        """Read a run folder's checkpoint.

        Raises:
            OpsinError: there is none, or the file is damaged.
        """
        path = run / CHECKPOINT
        if not path.exists():
            raise OpsinError(f"{run} has no checkpoint to resume from; train again into another folder with --out")
        arrays, metadata = read_tensors(path)
        groups: dict[str, dict[str, np.ndarray]] = {}
        for key, array in arrays.items():
            group, _, name = key.partition("|")
            groups.setdefault(group, {})[name] = array
        return cls(json.loads(metadata["values"]), groups)


def tensors_to_arrays(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """A state dict as NumPy arrays; bfloat16, which NumPy lacks, is widened to float32 without loss."""
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().contiguous().numpy().copy()
        for name, tensor in state.items()
    }


def arrays_to_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The reverse of `tensors_to_arrays`; loading into a module casts to the module's own types."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def optimiser_arrays(optimiser: torch.optim.Optimizer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The state of an optimiser as arrays and plain values, named `parameter/key`, and `groupN/key` for what some keep
    per group of parameters (a count of steps). bfloat16 is widened, and its key says so."""
    full = optimiser.state_dict()
    holders = {str(index): entries for index, entries in full["state"].items()}
    holders.update({f"group{index}": group for index, group in enumerate(full["param_groups"])})
    arrays: dict[str, np.ndarray] = {}
    plain: dict[str, Any] = {}
    for holder, entries in holders.items():
        for key, value in entries.items():
            name = f"{holder}/{key}"
            if isinstance(value, torch.Tensor):
                name += WIDENED if value.dtype == torch.bfloat16 else ""
                arrays.update(tensors_to_arrays({name: value}))
            elif isinstance(value, (int, float)) or not holder.startswith("group"):
                plain[name] = value
    return arrays, plain


def restore_optimiser(
    optimiser: torch.optim.Optimizer, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]
) -> None:
    """Give an optimiser of the same construction the state that `optimiser_arrays` read.

    Moments get the memory layout of their parameter: fused kernels walk both in the order of storage.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    groups = optimiser.state_dict()["param_groups"]
    state: dict[int, dict[str, Any]] = {}
    narrow: list[tuple[torch.Tensor, str]] = []
    for name, array in [*arrays.items(), *plain.items()]:
        holder, _, key = name.partition("/")
        value = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
        if holder.startswith("group"):
            groups[int(holder.removeprefix("group"))][key] = value
            continue
        like = parameters[int(holder)]
        if key.endswith(WIDENED):
            key = key.removesuffix(WIDENED)
            narrow.append((like, key))
        if isinstance(value, torch.Tensor) and value.shape == like.shape:
            value = torch.empty_like(like, dtype=value.dtype).copy_(value)
        state.setdefault(int(holder), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    for parameter, key in narrow:  # loading casts to the type of the parameter
        optimiser.state[parameter][key] = optimiser.state[parameter][key].bfloat16()
