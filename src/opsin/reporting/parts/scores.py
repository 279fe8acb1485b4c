"""How good the answers on the test images are, and which classes are mixed up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.records import Baseline, ClassScores, Interval, Threshold
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.texts import Text, say

WHOLE_TABLE = 24  # classes up to which the confusion matrix is a table of numbers
MOST_PAIRS = 12
CURVE_CLASSES = 4
CURVE_POINTS = 200
BASELINES = {
    "majority class": "majority",
    "nearest class mean": "nearest_mean",
    "HOG + logistic regression": "hog",
}


@dataclass(frozen=True)
class Pair:
    """How often images of one class (`truth`) got the name of another; `share` of the images of `truth`."""

    truth: str
    answer: str
    count: int
    share: float


@dataclass(frozen=True)
class ClassCurves:
    """One class against the rest: float64 `(points, 2)` of (false, true positive rate) and (recall, precision)."""

    name: str
    roc: np.ndarray
    pr: np.ndarray
    auroc: float | None


@dataclass(frozen=True)
class ScoresPart:
    """The figures on the test images; `worst_first` are the classes by recall, `confused` the pairs by count."""

    images: int
    accuracy: float
    interval: Interval
    top_k: dict[int, float]
    macro: dict[str, float]
    weighted: dict[str, float]
    auroc: float | None
    baselines: tuple[tuple[Text | str, Baseline], ...]
    classes: tuple[str, ...]
    confusion: np.ndarray
    confused: tuple[Pair, ...]
    worst_first: tuple[ClassScores, ...]
    curves: tuple[ClassCurves, ...]
    thresholds: tuple[tuple[Text | str, Threshold], ...]
    excluded: int
    notes: tuple[str, ...]

    @property
    def shares(self) -> np.ndarray:
        """The confusion matrix as shares of each row, float64."""
        return self.confusion / np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)

    @property
    def as_table(self) -> bool:
        """Whether there are few enough classes to print the matrix as numbers."""
        return len(self.classes) <= WHOLE_TABLE


def scores(material: Material) -> ScoresPart | Missing:
    """The scores of a run with test images."""
    found = material.scores
    if found is None:
        return Missing(*why_no_scores(material))
    return ScoresPart(
        images=found.images,
        accuracy=found.accuracy,
        interval=found.accuracy_interval,
        top_k=found.top_k,
        macro=found.macro,
        weighted=found.weighted,
        auroc=found.auroc,
        baselines=tuple((baseline_name(baseline.name), baseline) for baseline in found.baselines),
        classes=found.classes,
        confusion=found.confusion,
        confused=confused_pairs(found.confusion, found.classes)[:MOST_PAIRS],
        worst_first=tuple(sorted(found.per_class, key=lambda row: (row.recall, row.f1, row.name))),
        curves=_curves(found.per_class, found.roc, found.pr),
        thresholds=tuple((rule_text(point.rule), point) for point in found.thresholds),
        excluded=found.excluded,
        notes=found.notes,
    )


def why_no_scores(material: Material) -> tuple[Text, Text]:
    """The reason why a run has no scores, and what to do."""
    run = material.run
    if material.foreign:
        return say("scores.missing_foreign"), say("scores.remedy_foreign")
    if run.status == "finished":
        return say("scores.missing_no_test"), say("scores.remedy_no_test")
    return say("scores.missing_unfinished"), say("scores.remedy_unfinished", folder=run.path.as_posix())


def confused_pairs(confusion: np.ndarray, classes: tuple[str, ...]) -> tuple[Pair, ...]:
    """Every pair of truth and wrong answer that occurred, the most frequent first."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    rows = confusion.sum(axis=1)
    pairs = [
        Pair(classes[truth], classes[answer], int(wrong[truth, answer]), float(wrong[truth, answer] / rows[truth]))
        for truth, answer in np.argwhere(wrong > 0)
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.truth, pair.answer)))


def baseline_name(name: str) -> Text | str:
    """A baseline's name in the reader's language, where it is a known one."""
    return say(f"baseline.{BASELINES[name]}") if name in BASELINES else name


def rule_text(rule: str) -> Text | str:
    """The rule of an operating point (`specificity >= 0.95`) in the reader's language, where it is a known one."""
    name, _, wanted = rule.partition(" >= ")
    if name not in ("sensitivity", "specificity") or not wanted.replace(".", "", 1).isdigit():
        return rule
    return say(f"scores.rule_{name}", wanted=float(wanted))


def _curves(
    rows: tuple[ClassScores, ...], roc: dict[str, np.ndarray], pr: dict[str, np.ndarray]
) -> tuple[ClassCurves, ...]:
    """ROC and precision-recall curves of the classes that are hardest to tell from the rest."""
    known = [row for row in rows if row.name in roc and row.name in pr]
    hardest = sorted(known, key=lambda row: (row.auroc is None, row.auroc or 0.0, row.name))[:CURVE_CLASSES]
    return tuple(ClassCurves(row.name, _thinned(roc[row.name]), _thinned(pr[row.name]), row.auroc) for row in hardest)


def _thinned(curve: np.ndarray) -> np.ndarray:
    points = curve[np.isfinite(curve[:, :2]).all(axis=1), :2]
    if len(points) <= CURVE_POINTS:
        return points
    return points[np.unique(np.linspace(0, len(points) - 1, CURVE_POINTS).round().astype(int))]
