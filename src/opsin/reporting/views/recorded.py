"""Reading parts of a run's snapshots as they lie on the disk: only the arrays that are asked for, bytes as bytes."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from opsin.errors import OpsinError
from opsin.training.run import Run

READ_AGAIN = 4096  # snapshots whose outlines are remembered


class Part:
    """An open snapshot.

    Attributes:
        guide: its reading guide: step, and the range and shape of each layer's activations.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._names = set(file.keys())
        self.guide: dict[str, Any] = json.loads((file.metadata() or {})["guide"])

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> np.ndarray:
        return self._file.get_tensor(name)

    def range(self, layer: str) -> tuple[float, float]:
        """What 0 and 255 stand for in a layer's activations."""
        entry = self.guide["activations"][layer]
        return entry["min"], entry["max"]

    def group(self, name: str) -> list[str]:
        """The layers that have an array in a group (`activations`, `filters`, ...)."""
        return [key.partition("/")[2] for key in self._names if key.startswith(f"{name}/")]


@contextmanager
def opened(run: Run, step: int) -> Iterator[Part]:
    """The snapshot of a step.

    Raises:
        OpsinError: that step has none, or it cannot be read.
    """
    path = run.path / "snapshots" / f"{step:08d}.safetensors"
    if not path.is_file():
        raise OpsinError(f"step {step} of {run.name} has no snapshot; {_near(run.snapshot_steps, step)}")
    try:
        with safe_open(path, framework="numpy") as file:
            yield Part(file)
    except OpsinError:
        raise
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise OpsinError(f"the snapshot {path} cannot be read ({error}); was it copied in full?") from error


def _near(steps: list[int], step: int) -> str:
    if not steps:
        return "no step of it has one"
    at = bisect(steps, step)
    return f"the nearest are {' and '.join(str(near) for near in steps[max(at - 1, 0) : at + 1])}"


class Outline:
    """What is small about a snapshot: the probabilities float32 `(n, classes)` on the probe, and by layer the range of
    the activations and how many channels are kept."""

    def __init__(self, run: Run, step: int) -> None:
        with opened(run, step) as part:
            self.probabilities: np.ndarray = part["probabilities"]
            self.ranges = {layer: part.range(layer) for layer in part.group("activations")}
            self.kept = {layer: int(part.guide["activations"][layer]["shape"][1]) for layer in self.ranges}


def outline(run: Run, step: int) -> Outline:
    """The Outline of a step's snapshot; read once, a snapshot does not change.

    Raises:
        OpsinError: that step has none, or it cannot be read.
    """
    path = run.path / "snapshots" / f"{step:08d}.safetensors"
    written = path.stat().st_mtime_ns if path.is_file() else 0  # a resume may write one anew
    return _outline(run.path, step, written)


@lru_cache(READ_AGAIN)
def _outline(path: Path, step: int, _written: int) -> Outline:
    return Outline(Run(path), step)
