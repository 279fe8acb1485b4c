"""What validation images are good for after training: a temperature, and thresholds of each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import roc_curve

from opsin.inference.scoring import negative_log_likelihood
from opsin.records import Threshold

TEMPERATURES = (0.05, 20.0)
WANTED = 0.95


class Answers(NamedTuple):
    """Log probabilities float32 `(n, classes)` and the true class int64 `(n,)` of some images."""

    log_probabilities: np.ndarray
    labels: np.ndarray


def fit_temperature(validation: Answers) -> float | None:
    """The temperature by which logits are divided so that validation images become most likely (Guo et al. 2017, On
    calibration of modern neural networks, section 4.2).

    Logits may lack a constant per image, as log probabilities do: softmax does not see it.

    Returns:
        The temperature, or None where there is no best one between 0.05 and 20: with every validation image right,
        ever colder answers are ever more likely.
    """
    logits = validation.log_probabilities.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(log_softmax(logits / np.exp(log_temperature), axis=1), validation.labels)

    low, high = np.log(TEMPERATURES)
    # convex in 1 / temperature, so that the one minimum within the bounds is found
    result: Any = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    found = float(result.x)
    return None if min(found - low, high - found) < 0.01 else float(np.exp(found))


def tempered(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Log probabilities float32 `(n, classes)` after dividing the logits by `temperature`."""
    return log_softmax(log_probabilities / np.float32(temperature), axis=1)


def operating_points(validation: Answers, scored: Answers, classes: Sequence[str]) -> Iterator[Threshold]:
    """For each class the threshold with the highest sensitivity at a specificity of at least 0.95 on validation images,
    and the reverse, with what they reach on the scored images.

    An image is called the class when its probability is at least the threshold. Both classes of two have theirs: which
    of them is the finding that is looked for, only the reader knows. A class that one of the sets lacks (or that is all
    of it) has none, and neither has a rule that no threshold meets.
    """
    for index, name in enumerate(classes):
        truth, actual = validation.labels == index, scored.labels == index
        if not (truth.any() and actual.any()) or truth.all() or actual.all():
            continue
        chosen_by = np.exp(validation.log_probabilities[:, index])
        measured = np.exp(scored.log_probabilities[:, index])
        fpr, sensitivity, thresholds = roc_curve(truth, chosen_by, drop_intermediate=False)
        specificity = 1 - fpr
        for rule, fixed, best in (
            ("specificity", specificity, sensitivity),
            ("sensitivity", sensitivity, specificity),
        ):
            allowed = np.flatnonzero((fixed >= WANTED - 1e-12) & np.isfinite(thresholds))
            if not len(allowed):
                continue
            # of equally good ones that which keeps more of the fixed quantity
            at = allowed[np.lexsort((fixed[allowed], best[allowed]))[-1]]
            called = measured >= thresholds[at]
            yield Threshold(
                class_name=name,
                rule=f"{rule} >= {WANTED}",
                threshold=float(thresholds[at]),
                sensitivity=float(called[actual].mean()),
                specificity=float(1 - called[~actual].mean()),
            )
