"""The images: how many, of what, which could not be read, and which occur twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.texts import say

SPLITS = ("train", "validation", "test")


class ClassCount(NamedTuple):
    """How many images of a class each split has."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """In all splits."""
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class DataPart:
    """What `run.json` says of the data.

    `counts` has the smallest class first; `crossing` counts the duplicates whose two images lie in different splits.
    """

    name: str
    images: int
    classes: int
    totals: Mapping[str, int]
    counts: tuple[ClassCount, ...]
    sizes: Mapping[str, tuple[int, int]]
    unreadable: tuple[Mapping[str, Any], ...]
    duplicates: tuple[Mapping[str, Any], ...]
    crossing: int
    grouped: bool
    notes: tuple[str, ...]


def data(material: Material) -> DataPart | Missing:
    """The data of a run that Opsin trained."""
    if material.foreign:
        return Missing(say("data.missing_foreign"))
    about = material.run.info["data"]
    counts = about["counts"]
    rows = [
        ClassCount(name, *(int(counts.get(split, {}).get(name, 0)) for split in SPLITS)) for name in material.classes
    ]
    duplicates = sorted(about.get("duplicates", ()), key=lambda pair: (not crosses(pair), pair["kind"]))
    return DataPart(
        name=about["name"],
        images=about["images"],
        classes=len(material.classes),
        totals={split: sum(counts.get(split, {}).values()) for split in SPLITS},
        counts=tuple(sorted(rows, key=lambda row: row.total)),
        sizes={name: (int(pair[0]), int(pair[1])) for name, pair in about.get("sizes", {}).items()},
        unreadable=tuple(about.get("unreadable", ())),
        duplicates=tuple(duplicates),
        crossing=sum(map(crosses, duplicates)),
        grouped=material.grouped,
        notes=tuple(about.get("notes", ())),
    )


def crosses(pair: Mapping[str, Any]) -> bool:
    """Whether a duplicate's images lie in different splits: what was learnt is asked again."""
    return pair["first_split"] != pair["second_split"]
