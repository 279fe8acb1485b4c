"""What a source found: pictures with labels, before any of them is decoded, checked or split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.errors import OpsinError
from opsin.records import Unreadable

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Found:
    """Pictures and what is known of each; all sequences have one entry per picture, in the same order.

    Attributes:
        name: what a run on these images is called by default, such as the folder's name.
        pictures: paths of image files, or one array `(n, h, w)` or `(n, h, w, c)` of uint8 or uint16, c = 1 to 4.
        labels: the class name of each picture.
        names: what to call each picture: its path below the source, or such as `train/12`.
        splits: `train`, `validation`, `test`, or None where the source does not say; None: it says for none.
        groups: what must not be divided between splits (patient, plant, board), empty for a picture on its own; None:
            nothing is known.
        classes: class names in a fixed order; None: the labels that occur, natural-sorted.
        unreadable: pictures that the source names and that are not there, with the reason.
        notes: what a reader has to know of the source.
    """

    name: str
    pictures: Sequence[Path] | np.ndarray
    labels: Sequence[str]
    names: Sequence[str]
    splits: Sequence[str | None] | None = None
    groups: Sequence[str] | None = None
    classes: tuple[str, ...] | None = None
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        counts = {
            name: len(values)
            for name in ("pictures", "labels", "names", "splits", "groups")
            if (values := getattr(self, name)) is not None
        }
        if len(set(counts.values())) > 1:
            raise OpsinError(f"{self.name} does not hold one of each per picture: {counts}; expected equal numbers")

    def __len__(self) -> int:
        return len(self.labels)
