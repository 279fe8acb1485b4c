"""The frozen records that Opsin's verbs return. NumPy only: a record can be read where PyTorch is not installed."""

from __future__ import annotations

import csv
import dataclasses
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opsin.errors import OpsinError
from opsin.files import plain, read_json, read_tensors, to_json, write_json, write_tensors, write_text


class Interval(NamedTuple):
    """A confidence interval, `low <= high`, in the unit of the figure that it belongs to."""

    low: float
    high: float


class Unreadable(NamedTuple):
    """A file that could not be decoded, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Prediction:
    """What a Classifier answers.

    Attributes:
        probabilities: float32 `(n, classes)`, rows sum to 1.
        classes: class names in the order of the columns.
        names: one name per image (its path, or `image 0` ... where it had none).
        unreadable: files that were asked for and skipped; they have no row.
    """

    probabilities: np.ndarray
    classes: tuple[str, ...]
    names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.names), len(self.classes)):
            raise OpsinError(
                f"probabilities have shape {self.probabilities.shape}, expected "
                f"({len(self.names)}, {len(self.classes)}): one row per name, one column per class"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def indices(self) -> np.ndarray:
        """int64 `(n,)`: the class with the highest probability."""
        return self.probabilities.argmax(axis=1)

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the class with the highest probability, per image."""
        return tuple(self.classes[index] for index in self.indices)

    @property
    def confidence(self) -> np.ndarray:
        """float32 `(n,)`: the highest probability, per image."""
        return self.probabilities.max(axis=1) if len(self) else np.zeros(0, np.float32)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: one entry per image, the unreadable files beside them."""
        rows = zip(self.names, self.labels, self.confidence, self.probabilities, strict=True)
        return {
            "images": [
                {
                    "image": name,
                    "label": label,
                    "confidence": float(confidence),
                    "probabilities": dict(zip(self.classes, map(float, row), strict=True)),
                }
                for name, label, confidence, row in rows
            ],
            "unreadable": [item._asdict() for item in self.unreadable],
        }

    def save(self, path: str | Path) -> None:
        """Write a CSV table: `image,label,confidence` and one probability column per class; unreadable files last,
        with an empty answer and the reason in the column `error`."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["image", "label", "confidence", "error", *(f"p:{name}" for name in self.classes)])
        for name, label, confidence, row in zip(
            self.names, self.labels, self.confidence, self.probabilities, strict=True
        ):
            writer.writerow([name, label, f"{confidence:.6f}", "", *(f"{value:.6f}" for value in row)])
        for item in self.unreadable:
            writer.writerow([item.path, "", "", item.reason, *("" for _ in self.classes)])
        write_text(path, out.getvalue())


@dataclass(frozen=True)
class Baseline:
    """What a much simpler method reaches on the same images."""

    name: str
    accuracy: float
    interval: Interval
    note: str = ""


@dataclass(frozen=True)
class ClassScores:
    """The figures of one class. A ratio whose denominator is zero is 0; the AUROC is None where every image, or none,
    is of the class; the recall has Wilson's score interval."""

    name: str
    support: int
    precision: float
    recall: float
    f1: float
    auroc: float | None
    recall_interval: Interval


@dataclass(frozen=True)
class Threshold:
    """An operating point of one class against the rest, chosen on validation images by its rule (`specificity >= 0.95`:
    the highest sensitivity that has it), measured on the scored ones. An image is called the class when its probability
    is at least the threshold."""

    class_name: str
    rule: str
    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Scores:
    """How good a Classifier's answers are on labelled images.

    Attributes:
        images: how many images were scored.
        accuracy, accuracy_interval: share of right answers, 95 % percentile bootstrap over images (over groups where
            some are known).
        top_k: share of images whose label is among the k best, by k.
        macro, weighted: precision, recall and f1 averaged over the classes that occur (plainly, or by support).
        per_class: one row per class, in class order.
        confusion: int64 `(classes, classes)`, rows the truth, columns the answer.
        ece, brier, nll: calibration error (15 equal-width bins, top label), multi-class Brier score, mean negative
            log likelihood in nats, as the model answers.
        temperature: the temperature fitted on validation images, or None; `ece_calibrated` is the ECE with it.
        reliability: per bin `(confidence, accuracy, count)`, float64 `(bins, 3)`.
        auroc: macro one-against-rest area under the ROC curve, or None where a class is missing.
        roc, pr: per class name, float64 `(points, 3)` of (fpr, tpr, threshold) and (recall, precision, threshold).
        thresholds: operating points chosen on validation images.
        baselines: simpler methods on the same images.
        excluded: how many images were left out because the model was trained (or tuned) on them.
        notes: what a reader has to know to judge the figures.
    """

    images: int
    classes: tuple[str, ...]
    accuracy: float
    accuracy_interval: Interval
    top_k: dict[int, float]
    macro: dict[str, float]
    weighted: dict[str, float]
    per_class: tuple[ClassScores, ...]
    confusion: np.ndarray
    ece: float
    brier: float
    nll: float
    reliability: np.ndarray
    temperature: float | None = None
    ece_calibrated: float | None = None
    auroc: float | None = None
    roc: dict[str, np.ndarray] = field(default_factory=dict)
    pr: dict[str, np.ndarray] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    excluded: int = 0
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the overall accuracy before any baseline's."""
        return {item.name: _jsonable(getattr(self, item.name)) for item in dataclasses.fields(self)}

    def save(self, path: str | Path) -> None:
        """Write the scores as JSON; `Scores.load` reads them back."""
        write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: str | Path) -> Scores:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing, or is not a scores file.
        """
        values = read_json(path)
        try:
            return cls(
                **{
                    **values,
                    "classes": tuple(values["classes"]),
                    "accuracy_interval": Interval(**values["accuracy_interval"]),
                    "top_k": {int(k): share for k, share in values["top_k"].items()},
                    "per_class": tuple(
                        ClassScores(**{**row, "recall_interval": Interval(**row["recall_interval"])})
                        for row in values["per_class"]
                    ),
                    "confusion": np.array(values["confusion"], np.int64),
                    "reliability": np.array(values["reliability"], np.float64).reshape(-1, 3),
                    "roc": {name: np.array(curve, np.float64) for name, curve in values["roc"].items()},
                    "pr": {name: np.array(curve, np.float64) for name, curve in values["pr"].items()},
                    "thresholds": tuple(Threshold(**row) for row in values["thresholds"]),
                    "baselines": tuple(
                        Baseline(**{**row, "interval": Interval(**row["interval"])}) for row in values["baselines"]
                    ),
                    "notes": tuple(values["notes"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OpsinError(
                f"{path} is not a scores file of this version ({error}); evaluate the run again"
            ) from error


@dataclass(frozen=True)
class Comparison:
    """Two models on the same labelled images.

    Attributes:
        names: what the two models are called.
        accuracy_a, accuracy_b: shares of right answers; `difference` is b minus a with a paired bootstrap interval.
        both_right, only_a, only_b, both_wrong: how many images of each kind.
        p_value: McNemar's exact two-sided test on the images that exactly one model got right (McNemar 1947).
        differing: one row per image on which the answers differ: name, truth, answer of a, answer of b.
        per_class: recall of a and of b per class: `(class, recall_a, recall_b)`.
    """

    names: tuple[str, str]
    images: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    difference_interval: Interval
    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    p_value: float
    differing: tuple[dict[str, Any], ...]
    per_class: tuple[tuple[str, float, float], ...]
    excluded: int = 0
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {item.name: _jsonable(getattr(self, item.name)) for item in dataclasses.fields(self)}


@dataclass(frozen=True)
class Explanation:
    """Where in its input a Classifier's score comes from, as one method has it.

    Attributes:
        maps: float32 `(n, h, w)` at the input's size, as the method's paper defines them: attributions are signed,
            class activation maps clamped at zero; never rescaled.
        inputs: float32 `(n, c, h, w)`, the images as the network got them.
        method: the method's name; `options` are its settings, all of them.
        layer: the layer that was looked at, or "" where the method looks at none.
        targets: int64 `(n,)`: the class whose score is explained.
        against: int64 `(n,)`, the class whose score was subtracted ("why the first rather than this"), or None.
        classes: class names in the order of the scores.
        names: what each image is called.
        seed: of the random draws of a stochastic method.
        evaluations: forward passes per image; a pass back counts as one more.
        seconds: wall time for all images.
        error: float32 `(n,)`: standard error of a stochastic method's map, averaged over its places; or None.
        completeness: float32 `(n,)`: sum of the map minus the change of the score that it should explain, where the
            method promises that they are equal; or None.
        geometry: float64 `(n, 4)`: top, left, bottom, right of the input in the original picture's pixels, or None.
        display: (mean, std) per channel with which `inputs` become pixels again (`input * std + mean` lies in 0..1), or
            None: they are scaled from their own smallest and largest value.
        notes: warnings that belong to the maps, such as a blank one.
    """

    maps: np.ndarray
    inputs: np.ndarray
    method: str
    options: dict[str, Any]
    layer: str
    targets: np.ndarray
    classes: tuple[str, ...]
    names: tuple[str, ...]
    against: np.ndarray | None = None
    seed: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    error: np.ndarray | None = None
    completeness: np.ndarray | None = None
    geometry: np.ndarray | None = None
    display: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    notes: tuple[str, ...] = ()

    _ARRAYS = ("maps", "inputs", "targets", "against", "error", "completeness", "geometry")

    def __post_init__(self) -> None:
        images, size = len(self.inputs), self.inputs.shape[-2:]
        if self.maps.shape != (images, *size):
            raise OpsinError(f"maps have shape {self.maps.shape}, expected {(images, *size)}: one per input, at its size")

    def __len__(self) -> int:
        return len(self.maps)

    def normalised(self) -> Explanation:
        """A copy whose maps are scaled to 0..1 per image (a flat map becomes zeros), and nothing else."""
        low = self.maps.min(axis=(1, 2), keepdims=True)
        spread = self.maps.max(axis=(1, 2), keepdims=True) - low
        scaled = np.divide(self.maps - low, spread, out=np.zeros_like(self.maps), where=spread > 0)
        return dataclasses.replace(self, maps=scaled)

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `Explanation.load` reads it back."""
        arrays = {name: value for name in self._ARRAYS if (value := getattr(self, name)) is not None}
        plain_values = {
            item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name not in self._ARRAYS
        }
        write_tensors(path, arrays, {"explanation": to_json(plain_values)})

    @classmethod
    def load(cls, path: str | Path) -> Explanation:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no explanation.
        """
        import json

        arrays, metadata = read_tensors(path)
        if "explanation" not in metadata:
            raise OpsinError(f"{path} holds no explanation; expected a file that Explanation.save wrote")
        values = json.loads(metadata["explanation"])
        for name in ("classes", "names", "notes"):
            values[name] = tuple(values[name])
        if values["display"] is not None:
            values["display"] = tuple(tuple(part) for part in values["display"])
        return cls(**arrays, **values)


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
        by their largest magnitude) and its reading guide, the same name with `.json`."""
        arrays: dict[str, np.ndarray] = {"probabilities": self.probabilities.astype(np.float32)}
        guide: dict[str, Any] = {"step": self.step, "activations": {}, "gradients": {}}
        for layer, values in self.activations.items():
            low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
            scale = (high - low) or 1.0
            arrays[f"activations/{layer}"] = np.round((values - low) / scale * 255).astype(np.uint8)
            guide["activations"][layer] = {"min": low, "max": high, "shape": list(values.shape)}
        for group in ("gradients_label", "gradients_predicted"):
            for layer, values in getattr(self, group).items():
                peak = float(np.abs(values).max()) if values.size else 0.0
                arrays[f"{group}/{layer}"] = (values / (peak or 1.0)).astype(np.float16)
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
        import json

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


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _jsonable(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: _jsonable(item) for key, item in value._asdict().items()}  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return plain(value)
