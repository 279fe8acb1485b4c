"""What a Classifier answers."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError
from opsin.files import write_text
from opsin.records.common import Unreadable


@dataclass(frozen=True)
class Prediction:
    """What a Classifier answers.

    Attributes:
        probabilities: float32 `(n, classes)`, rows sum to 1.
        classes: class names in the order of the columns.
        names: one name per image (its path, or `image 0` ... where it had none).
        unreadable: files that were asked for and skipped; they have no row.
    """

    probabilities: np.ndarray
    classes: tuple[str, ...]
    names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.names), len(self.classes)):
            raise OpsinError(
                f"probabilities have shape {self.probabilities.shape}, expected "
                f"({len(self.names)}, {len(self.classes)}): one row per name, one column per class"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def indices(self) -> np.ndarray:
        """int64 `(n,)`: the class with the highest probability."""
        return self.probabilities.argmax(axis=1)

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the class with the highest probability, per image."""
        return tuple(self.classes[index] for index in self.indices)

    @property
    def confidence(self) -> np.ndarray:
        """float32 `(n,)`: the highest probability, per image."""
        return self.probabilities.max(axis=1) if len(self) else np.zeros(0, np.float32)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: one entry per image, the unreadable files beside them."""
        rows = zip(self.names, self.labels, self.confidence, self.probabilities, strict=True)
        return {
            "images": [
                {
                    "image": name,
                    "label": label,
                    "confidence": float(confidence),
                    "probabilities": dict(zip(self.classes, map(float, row), strict=True)),
                }
                for name, label, confidence, row in rows
            ],
            "unreadable": [item._asdict() for item in self.unreadable],
        }

    def save(self, path: str | Path) -> None:
        """Write a CSV table: `image,label,confidence` and one probability column per class; unreadable files last,
        with an empty answer and the reason in the column `error`."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["image", "label", "confidence", "error", *(f"p:{name}" for name in self.classes)])
        for name, label, confidence, row in zip(
            self.names, self.labels, self.confidence, self.probabilities, strict=True
        ):
            writer.writerow([name, label, f"{confidence:.6f}", "", *(f"{value:.6f}" for value in row)])
        for item in self.unreadable:
            writer.writerow([item.path, "", "", item.reason, *("" for _ in self.classes)])
        write_text(path, out.getvalue())
