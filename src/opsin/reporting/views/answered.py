"""What a run answered to the images of its splits, by the ids that views know them by."""

from __future__ import annotations

import numpy as np

from opsin.reporting.views.subject import Subject


def split_ids(subject: Subject, split: str, indices: np.ndarray) -> list[str]:
    """`test/<position in the split>` of dataset indices; an empty text where it is not known."""
    splits = np.array(subject.material.splits.get("split", ()), str)
    places = {index: position for position, index in enumerate(np.flatnonzero(splits == split).tolist())}
    return [f"{split}/{places[index]}" if index in places else "" for index in indices.tolist()]


def answers_to(subject: Subject, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the finished network answers to validation images: classes int32, -1 where that is not known, and their
    probabilities float32."""
    found = np.full(len(indices), -1, np.int32)
    confidence = np.zeros(len(indices), np.float32)
    kept = subject.material.answers.get("validation")
    if kept is None:
        return found, confidence
    rows = {index: row for row, index in enumerate(kept.index.tolist())}
    for at, index in enumerate(indices.tolist()):
        if index in rows:
            found[at] = kept.probabilities[rows[index]].argmax()
            confidence[at] = kept.probabilities[rows[index]].max()
    return found, confidence
