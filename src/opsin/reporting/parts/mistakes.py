"""Single images that say most: confident mistakes, and training images that stay hard (often mislabelled)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from opsin.reporting.parts.material import Material, Missing, Thumbnail
from opsin.reporting.texts import Text, say

MOST_WRONG = 24
MOST_HARD = 16
THUMBNAIL = 128  # pixels


@dataclass(frozen=True)
class Mistake:
    """An image that got the wrong name, with the probability of the answer and of the truth."""

    name: str
    truth: str
    answer: str
    probability: float
    truth_probability: float
    picture: Thumbnail | None


@dataclass(frozen=True)
class Hard:
    """A training image with its label and its loss (nats) per kept epoch, NaN where it was not drawn; `mean` is that
    of the later half."""

    name: str
    label: str
    mean: float
    losses: np.ndarray
    picture: Thumbnail | None


@dataclass(frozen=True)
class Mistakes:
    """Confident mistakes on `split`, of `wrong` in all among `images`; hard training images and their usual loss.

    `no_hard` says why there are none; `pictures` why there are no pictures.
    """

    split: Literal["test", "validation"]
    images: int
    wrong: int
    shown: tuple[Mistake, ...]
    hard: tuple[Hard, ...]
    usual_loss: float | None
    epochs: int
    pictures: Text | None


def mistakes(material: Material) -> Mistakes | Missing:
    """Mistakes on the test images (on validation where there are none), and hard training images."""
    split = "test" if material.test is not None else "validation"
    answers = material.answers.get(split)
    hard, usual, epochs = hard_images(material)
    if answers is None and not hard:
        if material.foreign:
            return Missing(say("mistakes.missing_foreign"), say("scores.remedy_foreign"))
        return Missing(say("mistakes.missing"), say("scores.remedy_unfinished", folder=material.run.path.as_posix()))
    shown, wrong, images = ((), 0, 0) if answers is None else _wrong(material, split)
    return Mistakes(split, images, wrong, shown, hard, usual, epochs, material.data_missing)


def _wrong(material: Material, split: str) -> tuple[tuple[Mistake, ...], int, int]:
    answers, classes = material.answers[split], material.classes
    predicted = answers.probabilities.argmax(axis=1)
    confidence = answers.probabilities.max(axis=1)
    rows = np.flatnonzero(predicted != answers.label)
    rows = rows[np.argsort(-confidence[rows], kind="stable")]
    shown = tuple(
        Mistake(
            name=material.name(int(answers.index[row])),
            truth=classes[answers.label[row]],
            answer=classes[predicted[row]],
            probability=float(confidence[row]),
            truth_probability=float(answers.probabilities[row, answers.label[row]]),
            picture=material.thumbnail(int(answers.index[row]), THUMBNAIL),
        )
        for row in rows[:MOST_WRONG]
    )
    return shown, len(rows), len(predicted)


def hard_images(material: Material) -> tuple[tuple[Hard, ...], float | None, int]:
    """Training images by their mean loss over the later half of the epochs, the highest first; the median of all
    images; and over how many epochs.

    An image whose loss stays high while others are learnt is often mislabelled (small-loss criterion, Han et al. 2018).
    """
    epochs = material.run.loss_epochs
    indices = np.array([i for i, split in enumerate(material.splits.get("split", ())) if split == "train"], int)
    if not epochs or not len(indices):
        return (), None, 0
    history = np.stack([material.run.losses(epoch) for epoch in epochs])
    later = history[len(epochs) // 2 :]
    drawn = np.isfinite(later)
    mean = np.where(drawn, later, 0).sum(axis=0) / np.maximum(drawn.sum(axis=0), 1)
    order = np.argsort(-mean, kind="stable")[:MOST_HARD]
    labels = material.splits["label"]
    hard = tuple(
        Hard(
            name=material.name(int(indices[row])),
            label=labels[indices[row]],
            mean=float(mean[row]),
            losses=history[:, row],
            picture=material.thumbnail(int(indices[row]), THUMBNAIL),
        )
        for row in order
    )
    return hard, float(np.median(mean)), len(later)
