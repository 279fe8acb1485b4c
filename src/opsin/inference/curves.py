"""ROC and precision-recall curves of each class against the rest."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import auc, precision_recall_curve, roc_curve

POINTS = 200
ALL_POINTS = 20_000
FEWEST_POINTS = 20
NONE_ANSWERED = float(np.nextafter(1.0, 2.0))
"""The threshold above every probability, at which no image is called the class."""


def class_curves(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[dict[int, float], dict[int, np.ndarray], dict[int, np.ndarray]]:
    """AUROC, ROC and precision-recall curve of every class that some images have and some have not.

    An image is called the class when its probability is at least the threshold. The AUROC is that of the whole curve;
    the curves are thinned afterwards, to at most 200 points each, fewer where there are more than 100 classes.

    Args:
        probabilities: float `(n, classes)`.
        labels: int `(n,)`.

    Returns:
        By class index: the area; `(fpr, tpr, threshold)` and `(recall, precision, threshold)`, float64 `(points, 3)`,
        from 0 to 1 along the first column.
    """
    classes = probabilities.shape[1]
    points = int(np.clip(ALL_POINTS // classes, FEWEST_POINTS, POINTS))
    areas, roc, pr = {}, {}, {}
    for index in np.unique(labels).tolist():
        truth = labels == index
        if truth.all():
            continue
        scores = probabilities[:, index].astype(np.float64)
        fpr, tpr, thresholds = roc_curve(truth, scores)
        areas[index] = float(auc(fpr, tpr))
        roc[index] = thinned(np.stack([fpr, tpr, np.minimum(thresholds, NONE_ANSWERED)], axis=1), points)
        precision, recall, thresholds = precision_recall_curve(truth, scores, drop_intermediate=True)
        pr[index] = thinned(np.stack([recall, precision, [*thresholds, NONE_ANSWERED]], axis=1)[::-1], points)
    return areas, roc, pr


def thinned(curve: np.ndarray, points: int) -> np.ndarray:
    """At most `points` rows of a curve, at even distances along it (sideways plus upwards), both ends among them.

    The area under a rising curve in the unit square moves by less than 1 / (2 * points).
    """
    if len(curve) <= points:
        return curve
    way = np.concatenate([[0.0], np.abs(np.diff(curve[:, :2], axis=0)).sum(axis=1).cumsum()])
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], points)).clip(0, len(curve) - 1))
    kept[-1] = len(curve) - 1  # the last of several equal ends
    return curve[kept]
