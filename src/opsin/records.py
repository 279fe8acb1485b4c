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
            raise OpsinError(
                f"maps have shape {self.maps.shape}, expected {(images, *size)}: one per input, at its size"
            )

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


BETTER_THAN_RANDOM = "better than random"
NO_BETTER_THAN_RANDOM = "no better than random"
FAILS_SANITY = "fails the sanity check"
NOT_CHECKED = "not checked yet"
VERDICTS = (BETTER_THAN_RANDOM, NO_BETTER_THAN_RANDOM, FAILS_SANITY, NOT_CHECKED)


@dataclass(frozen=True)
class Control:
    """What a map that knows nothing of the network gets in the same measure.

    Attributes:
        values: float64 `(n,)` in the order of the measure's values (the mean, where several maps were drawn per image).
        mean, interval: their mean and its 95 % bootstrap interval over images.
        advantage, advantage_interval: by how much the explanation is better than the control, paired by image; positive
            whichever direction is better.
        p_value: of the one-sided exact permutation test that the explanation is one more such map, or None where only
            one control map exists per image.
    """

    values: np.ndarray
    mean: float
    interval: Interval
    advantage: float
    advantage_interval: Interval
    p_value: float | None = None


@dataclass(frozen=True)
class Measure:
    """One measured property of an Explanation.

    Attributes:
        values: float64 `(n,)`, one per image (per cell of a mosaic in the grid pointing game).
        mean, interval: their mean and its 95 % bootstrap interval.
        better: "lower" or "higher".
        protocol: everything that the figure depends on: steps, baseline, kind of score, seed ...
        controls: by name, "random" and "edge".
        curve: float64 `(points, columns)`, means over images, named by `columns`; or None.
    """

    values: np.ndarray
    mean: float
    interval: Interval
    better: str
    protocol: dict[str, Any]
    controls: dict[str, Control] = field(default_factory=dict)
    curve: np.ndarray | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """How faithful an Explanation is to its model under stated protocols; never whether the answer itself is right.

    Attributes:
        verdict: "better than random", "no better than random", "fails the sanity check" or "not checked yet".
        reasons: why, one sentence each.
        measures: by name, in the order in which they were made.
        skipped: measures that could not be made, by name, with the reason.
        advantage, advantage_interval, p_value: over random maps, averaged over the measures of faithfulness: what the
            verdict rests on; None where none was made.
        method, layer, model, names: what was checked, and on which images.
        seed: of all draws.
        seconds: wall time.
        notes: what a reader has to know to judge the figures.
    """

    verdict: str
    reasons: tuple[str, ...]
    measures: dict[str, Measure]
    skipped: dict[str, str]
    method: str
    layer: str
    model: str
    names: tuple[str, ...]
    advantage: float | None = None
    advantage_interval: Interval | None = None
    p_value: float | None = None
    seed: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise OpsinError(f"the verdict {self.verdict!r} is unknown; expected one of {', '.join(VERDICTS)}")

    @property
    def failed(self) -> bool:
        """Whether a check was made and did not pass."""
        return self.verdict in (NO_BETTER_THAN_RANDOM, FAILS_SANITY)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {item.name: _jsonable(getattr(self, item.name)) for item in dataclasses.fields(self)}

    def text(self) -> str:
        """A table for people: the verdict, why, and every measure beside its controls."""
        head = ("measure", "value", "95 % interval", "random", "edges", "better")
        rows = [head, *(_measure_row(name, measure) for name, measure in self.measures.items())]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        where = f" at {self.layer}" if self.layer else ""
        lines = [f"{self.method}{where} of {self.model}, {len(self.names):,} images: {self.verdict}"]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"not measured: {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def save(self, path: str | Path) -> None:
        """Write the evidence as JSON; `Evidence.load` reads it back."""
        write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: str | Path) -> Evidence:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing, or holds no evidence.
        """
        values = read_json(path)
        try:
            overall = values["advantage_interval"]
            return cls(
                **{
                    **values,
                    "measures": {name: _measure(item) for name, item in values["measures"].items()},
                    "advantage_interval": None if overall is None else Interval(**overall),
                    **{name: tuple(values[name]) for name in ("reasons", "names", "notes")},
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OpsinError(
                f"{path} holds no evidence of this version ({error}); check the explanation again"
            ) from error


def _measure_row(name: str, measure: Measure) -> tuple[str, ...]:
    beside = [f"{measure.controls[key].mean:.3f}" if key in measure.controls else "" for key in ("random", "edge")]
    interval = f"[{measure.interval.low:.3f}, {measure.interval.high:.3f}]"
    return (name, f"{measure.mean:.3f}", interval, *beside, measure.better)


def _measure(stored: dict[str, Any]) -> Measure:
    curve = stored["curve"]
    return Measure(
        **{
            **stored,
            "values": np.array(stored["values"], np.float64),
            "interval": Interval(**stored["interval"]),
            "controls": {name: _control(item) for name, item in stored["controls"].items()},
            "curve": None if curve is None else np.array(curve, np.float64),
            "columns": tuple(stored["columns"]),
        }
    )


def _control(stored: dict[str, Any]) -> Control:
    intervals = {name: Interval(**stored[name]) for name in ("interval", "advantage_interval")}
    return Control(**{**stored, **intervals, "values": np.array(stored["values"], np.float64)})


@dataclass(frozen=True)
class Agreement:
    """How alike two Explanations of the same images are, per image float64 `(n,)`.

    Attributes:
        spearman: rank correlation over places, -1..1.
        ssim: structural similarity of the maps scaled to 0..1 each (Wang et al. 2004).
        iou: intersection over union of the `top` share of places with the highest values, 0..1.
        top: that share.
    """

    spearman: np.ndarray
    ssim: np.ndarray
    iou: np.ndarray
    top: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the means, then the values per image."""
        parts = {name: getattr(self, name) for name in ("spearman", "ssim", "iou")}
        means = {f"mean_{name}": float(values.mean()) for name, values in parts.items()}
        return {**means, "top": self.top, **_jsonable(parts)}


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
        by their largest magnitude) and its reading guide, the same name with `.json`. What is NaN or infinite is written
        as 0; the guide counts it."""
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
