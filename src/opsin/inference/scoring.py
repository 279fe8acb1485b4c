"""Figures of classification answers: plain functions of probabilities, labels and nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax

BINS = 15
TOP_K = (1, 3, 5)


class Ratios(NamedTuple):
    """Per class float64 `(classes,)`; a ratio whose denominator is zero is 0. `support` is int64."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def confusion(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """int64 `(classes, classes)`: how often each true class (row) was answered by each class (column)."""
    cells = np.asarray(labels, np.int64) * classes + np.asarray(answers, np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_ratios(confusion: np.ndarray) -> Ratios:
    """Precision, recall and F1 of each class from a confusion matrix (rows the truth)."""
    right, support, answered = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return Ratios(_share(right, answered), _share(right, support), _share(2 * right, support + answered), support)


def averages(ratios: Ratios) -> tuple[dict[str, float], dict[str, float]]:
    """Macro and weighted precision, recall and f1, over the classes that occur: one without images has no recall
    that could be averaged."""
    occurs = ratios.support > 0
    named = {"precision": ratios.precision, "recall": ratios.recall, "f1": ratios.f1}
    macro = {name: float(values[occurs].mean()) if occurs.any() else 0.0 for name, values in named.items()}
    total = max(int(ratios.support.sum()), 1)
    weighted = {name: float(values @ ratios.support / total) for name, values in named.items()}
    return macro, weighted


def top_k(scores: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    """Share of images whose label is among the k best of `scores` `(n, classes)`, for k = 1, 3, 5 below the number of
    classes. Of equal scores the first counts as better, as `argmax` has it."""
    own = scores[np.arange(len(labels)), labels]
    better = (scores > own[:, None]).sum(axis=1)
    ties = ((scores == own[:, None]) & (np.arange(scores.shape[1]) < labels[:, None])).sum(axis=1)
    return {k: float((better + ties < k).mean()) for k in TOP_K if k == 1 or k < scores.shape[1]}


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """float64 `(bins, 3)`: mean confidence, accuracy and number of the images whose highest probability lies in
    `(i / bins, (i + 1) / bins]`; zeros for an empty bin."""
    answers = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(labels)), answers].astype(np.float64)
    # probabilities that are not numbers, as a diverged network has them, lie in the first bin
    place = np.clip(np.ceil(np.nan_to_num(confidence) * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    means = [
        _share(np.bincount(place, weights=values, minlength=bins), count)
        for values in (confidence, (answers == labels).astype(np.float64))
    ]
    return np.stack([*means, count.astype(np.float64)], axis=1)


def calibration_error(table: np.ndarray) -> float:
    """Expected calibration error of a reliability table: the gap between confidence and accuracy, weighted by images
    (Guo et al. 2017, On calibration of modern neural networks, equation 3). 0 is best."""
    confidence, accuracy, count = table.T
    return float(np.abs(confidence - accuracy) @ count / max(count.sum(), 1))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Multi-class Brier score, 0 (best) to 2: the squared distance between the probabilities and the truth as 0 and 1,
    summed over classes and averaged over images (Brier 1950, Verification of forecasts expressed in terms of
    probability)."""
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
    return float((squares - 2 * own + 1).mean())


def negative_log_likelihood(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log likelihood of the labels, in nats."""
    return float(-log_probabilities[np.arange(len(labels)), labels].mean(dtype=np.float64))


def epoch_scores(logits: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """What one line of `epochs.jsonl` says of the validation images, as plain numbers.

    Args:
        logits: float `(n, classes)`.
        labels: int `(n,)`.
        classes: how many classes there are.

    Returns:
        `loss` (nats), `accuracy`, `confusion` (rows the truth), `recall` per class, `ece`, `reliability`.
    """
    log_probabilities = log_softmax(np.asarray(logits, np.float64), axis=1)
    matrix = confusion(labels, log_probabilities.argmax(axis=1), classes)
    table = reliability(np.exp(log_probabilities), labels)
    return {
        "loss": negative_log_likelihood(log_probabilities, labels),
        "accuracy": float(np.trace(matrix) / max(len(labels), 1)),
        "recall": class_ratios(matrix).recall.tolist(),
        "confusion": matrix.tolist(),
        "ece": calibration_error(table),
        "reliability": table.tolist(),
    }


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(part), np.float64), where=np.asarray(whole) > 0)
