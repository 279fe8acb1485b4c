"""What a network looked like inside at one training step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError
from opsin.files import read_tensors, to_json, write_json, write_tensors


@dataclass(frozen=True)
class Snapshot:
    """What a network looked like inside, on the probe images, at one training step.

    Attributes:
        step: optimiser steps taken before the snapshot (0 is the untrained network).
        probabilities: float32 `(n, classes)` on the probe.
        activations: per layer float32 `(n, c, h, w)` or `(n, features)`, the module's output.
        channels: per layer int64: which channels of the layer `activations` holds (large layers are thinned).
        gradients_label, gradients_predicted: per layer, in the shape of `activations`: the gradient there of the
            score (logit) of the label's, and of the predicted, class.
        filters: per convolution float32 `(out, in, kh, kw)` (`filter_channels` says which outputs are held).
        alive: per layer behind a ReLU-like function bool `(c,)`: the channel was above zero for some probe image.
        saturated: per layer, bool `(c,)`: the channel sat at the function's upper bound on every probe image.
    """

    step: int
    probabilities: np.ndarray
    activations: dict[str, np.ndarray]
    channels: dict[str, np.ndarray]
    gradients_label: dict[str, np.ndarray]
    gradients_predicted: dict[str, np.ndarray]
    filters: dict[str, np.ndarray]
    filter_channels: dict[str, np.ndarray]
    alive: dict[str, np.ndarray]
    saturated: dict[str, np.ndarray]

    _GROUPS = (
        "activations", "channels", "gradients_label", "gradients_predicted", "filters", "filter_channels", "alive",
        "saturated",
    )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write `path` (safetensors; activations as uint8 with their range per layer, gradients as float16 scaled
        by their largest magnitude) and its reading guide, the same name with `.json`. What is NaN or infinite is
        written as 0; the guide counts it."""
        arrays: dict[str, np.ndarray] = {"probabilities": self.probabilities.astype(np.float32)}
        guide: dict[str, Any] = {"step": self.step, "activations": {}, "gradients": {}}
        for layer, values in self.activations.items():
            finite = np.isfinite(values)
            shown = values if finite.all() else np.where(finite, values, 0)
            low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 0.0)
            scale = (high - low) or 1.0
            arrays[f"activations/{layer}"] = np.round((shown - low) / scale * 255).astype(np.uint8)
            guide["activations"][layer] = {"min": low, "max": high, "shape": list(values.shape)}
            if shown is not values:
                guide["activations"][layer]["not_finite"] = int((~finite).sum())
        for group in ("gradients_label", "gradients_predicted"):
            for layer, values in getattr(self, group).items():
                shown = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
                peak = float(np.abs(shown).max()) if shown.size else 0.0
                arrays[f"{group}/{layer}"] = (shown / (peak or 1.0)).astype(np.float16)
                guide["gradients"].setdefault(layer, {})[group] = peak
        for group in ("channels", "filters", "filter_channels", "alive", "saturated"):
            for layer, values in getattr(self, group).items():
                kind = np.float16 if group == "filters" else np.uint8 if values.dtype == bool else np.int32
                arrays[f"{group}/{layer}"] = values.astype(kind)
        path = Path(path)
        write_json(path.with_suffix(".json"), guide)
        write_tensors(path, arrays, {"guide": to_json(guide)})

    @classmethod
    def load(cls, path: str | Path) -> Snapshot:
        """Read what `save` wrote; quantised values come back as float32.

        Raises:
            OpsinError: the file is missing or is not a snapshot.
        """

        arrays, metadata = read_tensors(path)
        if "guide" not in metadata:
            raise OpsinError(f"{path} is not a snapshot; expected a file of a run's snapshots folder")
        guide = json.loads(metadata["guide"])
        groups: dict[str, dict[str, np.ndarray]] = {name: {} for name in cls._GROUPS}
        probabilities = arrays.pop("probabilities")
        for key, stored in arrays.items():
            group, _, layer = key.partition("/")
            groups[group][layer] = _restored(group, layer, stored, guide)
        return cls(step=guide["step"], probabilities=probabilities, **groups)


def _restored(group: str, layer: str, stored: np.ndarray, guide: dict[str, Any]) -> np.ndarray:
    """One array of a snapshot in the type and range that it had before it was written."""
    if group == "activations":
        low, high = guide["activations"][layer]["min"], guide["activations"][layer]["max"]
        return stored.astype(np.float32) / 255 * ((high - low) or 1.0) + low
    if group in ("gradients_label", "gradients_predicted"):
        return stored.astype(np.float32) * (guide["gradients"][layer][group] or 1.0)
    kinds = {"filters": np.float32, "alive": bool, "saturated": bool}
    return stored.astype(kinds.get(group, np.int64))
