"""How good answers are: the scores of one model, and two models side by side."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError
from opsin.files import read_json, write_json
from opsin.records.common import Interval, jsonable
from opsin.records.shown import Shown


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
class Scores(Shown):
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
        return {item.name: jsonable(getattr(self, item.name)) for item in dataclasses.fields(self)}

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
        return {item.name: jsonable(getattr(self, item.name)) for item in dataclasses.fields(self)}
