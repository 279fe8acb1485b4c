"""A run's records, each read once, and what to say where one is missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from opsin.errors import OpsinError
from opsin.evidence.kept import Kept, kept
from opsin.inference.scoring import class_ratios
from opsin.records import Scores
from opsin.reporting.texts import Text, say
from opsin.training.run import Answers, Run

if TYPE_CHECKING:
    from opsin.data.dataset import Dataset


@dataclass(frozen=True)
class Missing:
    """What stands in place of a part: what is missing and why, and the one thing to do about it."""

    reason: Text
    remedy: Text | None = None


@dataclass(frozen=True)
class Thumbnail:
    """A picture of the dataset, uint8 `(h, w, c)`, shrunk to fit a square; `size` is the original's height, width."""

    pixels: np.ndarray
    size: tuple[int, int]


class Material:
    """What the parts are made from: the run, and its data as far as they are still there."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a recorded loop may have given none, then there are numbers as far as they are known."""
        names = self.run.classes
        if names or not self.run.snapshot_steps:
            return names
        count = self.run.snapshot(self.run.snapshot_steps[0]).probabilities.shape[1]
        return tuple(str(i) for i in range(count))

    @property
    def foreign(self) -> bool:
        """Whether a person's own training loop was recorded: no dataset, no recipe."""
        return "data" not in self.run.info

    @property
    def scores(self) -> Scores | None:
        """Scores on the test images."""
        return self.run.scores

    @cached_property
    def answers(self) -> dict[str, Answers]:
        """Answers per split, by split name."""
        return self.run.predictions()

    @property
    def test(self) -> Answers | None:
        """Answers on the test images."""
        return self.answers.get("test")

    @cached_property
    def _opened(self) -> tuple[Dataset | None, str]:
        try:
            return self.run.dataset(), ""
        except OpsinError as error:
            return None, str(error)

    @property
    def data(self) -> Dataset | None:
        """The images that the run was trained on, or None; then `data_missing` says why."""
        return self._opened[0]

    @property
    def data_missing(self) -> Text | None:
        """Why no original picture can be shown, or None."""
        if self.foreign:
            return say("missing.foreign_data")
        return None if self.data is not None else say("missing.data", why=self._opened[1])

    @cached_property
    def kept(self) -> tuple[tuple[Kept, ...], dict[str, str]]:
        """The explanations that were kept, and by method why something of it cannot be used."""
        return kept(self.run.path)

    @cached_property
    def splits(self) -> dict[str, list[Any]]:
        """The columns of `splits.parquet`; empty where there is none."""
        import pyarrow.parquet as pq

        path = self.run.path / "splits.parquet"
        return pq.read_table(path).to_pydict() if path.exists() else {}

    @cached_property
    def grouped(self) -> bool:
        """Whether images belong to groups (patients, boards, ...) that splits never divide."""
        return any(group not in (None, "") for group in self.splits.get("group", ()))

    def thumbnail(self, index: int, side: int) -> Thumbnail | None:
        """The original of a dataset index, shrunk to at most `side` pixels; None where it cannot be opened."""
        if self.data is None:
            return None
        try:
            decoded = self.data.picture(int(index))
        except OpsinError:
            return None
        picture = decoded.picture
        if max(picture.size) > side:
            picture = picture.copy()
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        return Thumbnail(np.array(picture).reshape(picture.height, picture.width, -1), decoded.size)

    def name(self, index: int) -> str:
        """What an image is called; its dataset index where its name is not known."""
        names = self.splits.get("name", ())
        return str(names[index]) if 0 <= index < len(names) else f"#{index}"


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the positions 0..count-1, evenly spaced, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()


def recalls(confusion: Any) -> np.ndarray:
    """Share of each class that was recognised, float64 `(classes,)`; 0 for a class without images."""
    return class_ratios(np.asarray(confusion, np.int64)).recall
