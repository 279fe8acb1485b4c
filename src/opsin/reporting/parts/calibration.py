"""Whether the probabilities can be taken at their word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.inference.calibration import tempered
from opsin.inference.scoring import reliability
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.parts.scores import why_no_scores


@dataclass(frozen=True)
class Calibration:
    """Reliability before and after temperature scaling (Guo et al. 2017).

    Attributes:
        before, after: per bin (confidence, accuracy, count), float64 `(bins, 3)`; `after` is None where no
            temperature was fitted or the single answers were not kept.
        bias: mean confidence minus accuracy: above zero the network is over-confident.
        history: (epoch, ECE on validation), float64 `(epochs, 2)`.
    """

    before: np.ndarray
    after: np.ndarray | None
    ece: float
    ece_calibrated: float | None
    temperature: float | None
    brier: float
    nll: float
    bias: float
    images: int
    history: np.ndarray


def calibration(material: Material) -> Calibration | Missing:
    """The calibration of a run that has scores."""
    scores = material.scores
    if scores is None:
        return Missing(*why_no_scores(material))
    bins = scores.reliability
    counts = bins[:, 2]
    total = max(counts.sum(), 1)
    used = counts > 0
    bias = float(((bins[used, 0] - bins[used, 1]) * counts[used]).sum() / total)
    history = [(line["epoch"], line["ece"]) for line in material.run.epochs if line.get("ece") is not None]
    return Calibration(
        before=bins,
        after=_after(material),
        ece=scores.ece,
        ece_calibrated=scores.ece_calibrated,
        temperature=scores.temperature,
        brier=scores.brier,
        nll=scores.nll,
        bias=bias,
        images=scores.images,
        history=np.array(history, np.float64).reshape(-1, 2),
    )


def _after(material: Material) -> np.ndarray | None:
    """The reliability of the same answers with the temperature, from the kept probabilities: their logarithms are
    logits up to a constant per image, which softmax does not see."""
    scores, test = material.scores, material.test
    if scores is None or scores.temperature is None or test is None:
        return None
    # The scores leave out test images that are copies of training or validation images.
    seen = {content for content, split in zip(material.splits.get("hash", ()), material.splits.get("split", ()),
                                              strict=True) if split != "test"}  # fmt: skip
    rows = np.array([content not in seen for content in test.hashes], bool)
    if rows.sum() != scores.images:
        return None
    logarithms = np.log(np.maximum(test.probabilities[rows], np.finfo(np.float32).tiny))
    return reliability(np.exp(tempered(logarithms, scores.temperature)), test.label[rows], len(scores.reliability))
