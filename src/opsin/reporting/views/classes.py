"""Which classes are recognised, which are mixed up, and whether the probabilities can be taken at their word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from opsin.errors import OpsinError
from opsin.inference import scoring
from opsin.inference.answers import Progress
from opsin.inference.calibration import Answers as Scored
from opsin.inference.calibration import fit_temperature, operating_points, tempered
from opsin.inference.curves import class_curves
from opsin.inference.intervals import share_interval, wilson
from opsin.reporting.views.answered import split_ids
from opsin.reporting.views.subject import Subject
from opsin.training.run import Answers

SplitName = Literal["validation", "test"]
MOST_CLASSES = 250  # of a confusion matrix that is sent whole
MOST_PAIRS = 100
MOST_IMAGES = 200
TINY = np.finfo(np.float32).smallest_subnormal


@dataclass(frozen=True)
class _Kept:
    """Answers of one split: log probabilities float32 `(n, classes)`, labels int64, dataset indices int64, and the
    groups of the images where some share one."""

    logarithms: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    groups: list[str] | None

    @property
    def answers(self) -> np.ndarray:
        return self.logarithms.argmax(axis=1)

    @property
    def probabilities(self) -> np.ndarray:
        return np.exp(self.logarithms)


def classes(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    split: SplitName = "test",
    epoch: int | None = None,
) -> dict[str, Any]:
    """How good the answers to the images of a split are, class by class.

    Args:
        split: `test`, or `validation`: on these the best epoch, the temperature and the thresholds were chosen.
        epoch: of the training (the nearest that ended), for `validation` only; None: the finished network, or the last
            epoch of a training that goes on.

    Returns:
        split; splits: images by split; epochs and their steps, int32; epoch and step, None of the finished network;
        images, accuracy and interval; confusion int32 `(classes, classes)`, rows the truth, or None of more than 250
        classes; pairs: truth, answer, count int32 and share float32 of the most frequent mistakes; per class support,
        precision, recall, low, high (95 % of the recall, Wilson 1927), f1 and auroc (NaN where there is none);
        reliability float32 `(bins, 3)` of confidence, accuracy and count, and calibrated, the same with the
        temperature, or None; ece, ece_calibrated, temperature, brier, nll; excluded: images left out because they are
        copies of training or validation images.

    Raises:
        OpsinError: no run is looked at, it has no answers, or the test images of an epoch were asked for.
    """
    run = subject.need_run()
    sizes = {name: len(kept.label) for name, kept in subject.material.answers.items()}
    past = [line for line in run.epochs if "confusion" in line]
    heads = {
        "split": split,
        "splits": sizes,
        "epochs": np.array([line["epoch"] for line in past], np.int32),
        "steps": np.array([line["step"] for line in past], np.int32),
    }
    if epoch is None and split in sizes:
        return {**heads, "epoch": None, "step": None, **_finished(subject, split)}
    if epoch is not None and split == "test":
        raise OpsinError(f"the test images of epoch {epoch} were asked for; only validation images are answered then")
    if not past or split == "test":
        raise OpsinError(
            f"{run.name} has no answers to {split} images; they are written at the end of a training"
            + (f", and this one is {run.status}" if run.status != "finished" else "")
        )
    line = past[-1] if epoch is None else min(past, key=lambda line: abs(line["epoch"] - epoch))
    return {**heads, "epoch": line["epoch"], "step": line["step"], **_of_epoch(line)}


def curves(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    index: int,
    split: SplitName = "test",
) -> dict[str, Any]:
    """One class against the rest.

    Returns:
        roc float32 `(points, 3)` of false positive rate, true positive rate and threshold, and pr of recall, precision
        and threshold, None where all images, or none, are of the class; auroc; prevalence: the class's share of the
        images; thresholds chosen on validation images: rule, threshold, sensitivity and specificity.

    Raises:
        OpsinError: no run is looked at, it has no answers, or no such class.
    """
    kept = _kept(subject, split)
    if not 0 <= index < kept.logarithms.shape[1]:
        raise OpsinError(f"class {index} was asked for; expected 0 to {kept.logarithms.shape[1] - 1}")
    truth = kept.labels == index
    # the class and all the others together
    two = np.stack([1 - kept.probabilities[:, index], kept.probabilities[:, index]], axis=1)
    areas, roc, pr = class_curves(two, truth.astype(np.int64))
    return {
        "index": index,
        "roc": roc.get(1),
        "pr": pr.get(1),
        "auroc": areas.get(1),
        "prevalence": float(truth.mean()),
        "thresholds": _thresholds(subject, kept, index),
    }


def gallery(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    split: SplitName = "test",
    true: int | None = None,
    predicted: int | None = None,
    start: int = 0,
    count: int = 48,
) -> dict[str, Any]:
    """The images of a class that were answered with a class: mistakes the most confident first, right answers the least
    confident first, mistakes before right answers.

    Args:
        true, predicted: classes; None: any.

    Returns:
        total; ids; labels and answers int32; confidence and truth, float32: the probabilities of the answer and of the
        label.

    Raises:
        OpsinError: no run is looked at, or it has no answers.
    """
    if start < 0 or not 0 <= count <= MOST_IMAGES:
        raise OpsinError(f"{count} images from {start} on were asked for; expected at most {MOST_IMAGES}, from 0 on")
    kept = _kept(subject, split)
    answers, probabilities = kept.answers, kept.probabilities
    meant = np.ones(len(answers), bool)
    meant &= True if true is None else kept.labels == true
    meant &= True if predicted is None else answers == predicted
    every = np.arange(len(answers))
    confidence, right = probabilities[every, answers], answers == kept.labels
    order = np.lexsort((np.where(right, confidence, -confidence), right))
    shown = order[meant[order]][start : start + count]
    return {
        "total": int(meant.sum()),
        "ids": split_ids(subject, split, kept.indices[shown]),
        "labels": kept.labels[shown],
        "answers": answers[shown],
        "confidence": confidence[shown],
        "truth": probabilities[shown, kept.labels[shown]],
    }


def _kept(subject: Subject, split: str) -> _Kept:
    """The answers that count: without test images that are copies of training or validation images."""
    run, material = subject.need_run(), subject.material
    found: Answers | None = material.answers.get(split)
    if found is None or not len(found.label):
        raise OpsinError(f"{run.name} has no answers to {split} images; they are written at the end of a training")
    rows = np.ones(len(found.label), bool)
    if split == "test":
        columns = material.splits
        pairs = zip(columns.get("hash", ()), columns.get("split", ()), strict=True)
        seen = {content for content, name in pairs if name != "test"}
        rows = np.array([content not in seen for content in found.hashes], bool)
    # logarithms are logits up to a constant per image, which softmax does not see
    logarithms = np.log(np.maximum(found.probabilities[rows], TINY))
    names = material.splits.get("group", ()) if material.grouped else ()
    groups = [names[index] or f"image {index} alone" for index in found.index[rows].tolist()] if names else None
    return _Kept(logarithms, found.label[rows].astype(np.int64), found.index[rows], groups)


def _finished(subject: Subject, split: SplitName) -> dict[str, Any]:
    kept = _kept(subject, split)
    probabilities, right = kept.probabilities, kept.answers == kept.labels
    matrix = scoring.confusion(kept.labels, kept.answers, probabilities.shape[1])
    areas = class_curves(probabilities, kept.labels)[0]
    temperature = _temperature(subject)
    calibrated = (
        None
        if temperature is None
        else scoring.reliability(np.exp(tempered(kept.logarithms, temperature)), kept.labels)
    )
    table = scoring.reliability(probabilities, kept.labels)
    return {
        "images": len(kept.labels),
        "accuracy": float(right.mean()),
        "interval": list(share_interval(right, groups=kept.groups, seed=int(subject.need_run().info.get("seed", 0)))),
        **_matrix(matrix),
        "auroc": np.array([areas.get(index, np.nan) for index in range(len(matrix))], np.float32),
        "reliability": table,
        "ece": scoring.calibration_error(table),
        "calibrated": calibrated,
        "ece_calibrated": None if calibrated is None else scoring.calibration_error(calibrated),
        "temperature": temperature,
        "brier": scoring.brier(probabilities, kept.labels),
        "nll": scoring.negative_log_likelihood(kept.logarithms, kept.labels),
        "excluded": len(subject.material.answers[split].label) - len(kept.labels),
    }


def _of_epoch(line: dict[str, Any]) -> dict[str, Any]:
    """The figures that a training writes down after an epoch."""
    matrix = np.array(line["confusion"], np.int64)
    right, images = int(np.trace(matrix)), int(matrix.sum())
    table = line.get("reliability")
    return {
        "images": images,
        "accuracy": right / max(images, 1),
        "interval": list(wilson(right, images)),
        **_matrix(matrix),
        "auroc": np.full(len(matrix), np.nan, np.float32),
        "reliability": None if table is None else np.array(table, np.float32),
        "ece": line.get("ece"),
        "calibrated": None,
        "ece_calibrated": None,
        "temperature": None,
        "brier": None,
        "nll": line.get("loss"),
        "excluded": 0,
    }


def _matrix(matrix: np.ndarray) -> dict[str, Any]:
    """What a confusion matrix tells, as columns."""
    ratios = scoring.class_ratios(matrix)
    hits = [wilson(int(matrix[at, at]), int(support)) for at, support in enumerate(ratios.support)]
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    truth, answer = np.nonzero(wrong)
    counts = wrong[truth, answer]
    shares = counts / np.maximum(ratios.support[truth], 1)
    order = np.lexsort((answer, truth, -shares, -counts))[:MOST_PAIRS]
    return {
        "confusion": matrix if len(matrix) <= MOST_CLASSES else None,
        "pairs": {
            "truth": truth[order],
            "answer": answer[order],
            "count": counts[order],
            "share": shares[order],
        },
        "support": ratios.support,
        "precision": ratios.precision,
        "recall": ratios.recall,
        "low": np.array([interval.low for interval in hits]),
        "high": np.array([interval.high for interval in hits]),
        "f1": ratios.f1,
    }


def _temperature(subject: Subject) -> float | None:
    """The temperature of the run's scores, or one fitted on its validation images, as they are."""
    scores = subject.material.scores
    if scores is not None:
        return scores.temperature
    if "validation" not in subject.material.answers:
        return None
    kept = _kept(subject, "validation")
    return fit_temperature(Scored(kept.logarithms, kept.labels))


def _thresholds(subject: Subject, kept: _Kept, index: int) -> list[dict[str, Any]]:
    """The operating points of a class: chosen on validation images, measured on these."""
    if "validation" not in subject.material.answers:
        return []
    validation = _kept(subject, "validation")
    # operating points of one class only: the others are put together
    chosen_on, measured_on = (
        Scored(_against(item.logarithms, index), (item.labels == index).astype(np.int64)) for item in (validation, kept)
    )
    return [
        {
            "rule": point.rule,
            "threshold": point.threshold,
            "sensitivity": point.sensitivity,
            "specificity": point.specificity,
        }
        for point in operating_points(chosen_on, measured_on, ("others", "class"))
        if point.class_name == "class"
    ]


def _against(logarithms: np.ndarray, index: int) -> np.ndarray:
    own = logarithms[:, index]
    return np.stack([np.log(np.maximum(-np.expm1(own), TINY)), own], axis=1)
