"""Small places by which a network recognises a class, whatever the object is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opsin.errors import OpsinError
from opsin.files import read_json, read_tensors, replacing, write_json, write_tensors
from opsin.records.common import Interval, jsonable

PLACES = (
    ("top left corner", "top edge", "top right corner"),
    ("left edge", "middle", "right edge"),
    ("bottom left corner", "bottom edge", "bottom right corner"),
)


class Share(NamedTuple):
    """A share of images, 0..1, with its 95 % interval and the number of images."""

    value: float
    interval: Interval
    images: int


@dataclass(frozen=True)
class Shortcut:
    """A small place of the picture, and what it does to a class.

    Attributes:
        class_name, label: the class and its position among the network's classes.
        region: top, left, bottom, right in pixels of the network's input, counted from 0, the last two not inside.
        original: the same in pixels of the original pictures, where all have one size; else None.
        size: height and width of the network's input.
        used: whether the network recognises the class by it; False: the images carry the mark, the network passes it
            over.
        alike: whether the class's images show the same pixels there, as a mark does.
        carried, carried_held_out, carried_others: share of the class's images that do, of those that were searched, of
            those that the effect was confirmed on, and of the other classes' images; None where they are not alike.
        recall: share of the class's images that are recognised: of those to confirm on, or, where they do not carry the
            mark, of those that were searched.
        recall_without: the same when the place shows what images of other classes have there.
        recall_control: the same when a place of that size elsewhere does.
        flips: share of recognised images of other classes that become this class when the place is pasted on them.
        flips_control: the same when the place is taken from an image of another class.
        flips_elsewhere: the same when a place of that size elsewhere is taken from an image of the class.
        gathered, gathered_others: share of the evidence of the maps that lies in the place, mean over images: of the
            class's maps, and of the other classes' maps.
        p_value: that the place does no more than its controls, corrected for the number of places looked at.
        map: float32 `(h, w)`: the class's mean map.
        examples: uint8 `(4, m, h, w, c)`: images of the class as they are and without the place, images of other
            classes as they are and with it.
        answers: text `(4, m)`: what the network calls them.
    """

    class_name: str
    label: int
    region: tuple[int, int, int, int]
    original: tuple[float, float, float, float] | None
    size: tuple[int, int]
    used: bool
    alike: bool
    carried: float | None
    carried_held_out: float | None
    carried_others: float | None
    recall: Share
    recall_without: Share
    recall_control: Share
    flips: Share
    flips_control: Share
    flips_elsewhere: Share
    gathered: Share
    gathered_others: Share
    p_value: float
    map: np.ndarray
    examples: np.ndarray
    answers: tuple[tuple[str, ...], ...]

    _ARRAYS = ("map", "examples")

    @property
    def place(self) -> str:
        """Where it lies, in words: one of PLACES."""
        return PLACES[self.third(0)][self.third(1)]

    @property
    def loses(self) -> bool:
        """Whether recall is lower without the place, in whole percent."""
        return round(100 * self.recall_without.value) < round(100 * self.recall.value)

    def third(self, axis: int) -> int:
        """Whether the region's middle lies in the first, second or last third of the rows (0) or the columns (1)."""
        return min(2, 3 * (self.region[axis] + self.region[axis + 2]) // (2 * self.size[axis]))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the pictures are left out."""
        names = [name for name in self.__dataclass_fields__ if name not in ("class_name", *self._ARRAYS)]
        return {"class": self.class_name, "place": self.place, **{n: jsonable(getattr(self, n)) for n in names}}

    def text(self) -> str:
        """What it is, in plain words."""
        top, left, bottom, right = self.region
        where = f"the {self.place} (rows {top}-{bottom - 1}, columns {left}-{right - 1})"
        recall, without = _percent(self.recall.value), _percent(self.recall_without.value)
        pasted = f'{_percent(self.flips.value)} of them into "{self.class_name}"'
        if not self.used:
            return (
                f'{_percent(self.carried or 0)} of the images of "{self.class_name}" carry the same mark at {where}, '
                f"but the network hardly uses it: without it recall is {without} instead of {recall}; pasted on images "
                f"of other classes it turns {pasted}."
            )
        lost = f"falls from {recall} to {without}" if self.loses else f"stays at {without}"
        return (
            f'The network recognises "{self.class_name}" by {where}: without it recall {lost}; pasted on images of '
            f"other classes it turns {pasted}."
        )


@dataclass(frozen=True)
class Shortcuts:
    """What a search for shortcuts found.

    Attributes:
        found: the shortcuts that the network uses, at most one per class.
        unused: marks that a class's images carry and the network passes over.
        model, data: what was looked at.
        classes: class names in the order of the scores.
        skipped: classes that nothing can be said about, with the reason.
        protocol: everything that the figures depend on: images, thresholds, seed.
        notes: what a reader has to know.
        seconds: wall time.
        weights: of the run whose weights were looked at, their hash; "" for a model that is in no run.
    """

    found: tuple[Shortcut, ...]
    unused: tuple[Shortcut, ...]
    model: str
    data: str
    classes: tuple[str, ...]
    skipped: dict[str, str]
    protocol: dict[str, Any]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    weights: str = ""

    _PARTS = ("found", "unused")

    @property
    def failed(self) -> bool:
        """Whether a shortcut was found."""
        return bool(self.found)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: `shortcuts`, one entry per class, then the rest."""
        return {
            "shortcuts": [item.as_dict() for item in self.found],
            "unused": [item.as_dict() for item in self.unused],
            **{
                name: jsonable(getattr(self, name))
                for name in ("model", "data", "classes", "skipped", "protocol", "notes", "seconds", "weights")
            },
        }

    def text(self) -> str:
        """For people: each shortcut in a sentence, with its controls."""
        lines = [line for item in self.found for line in (item.text(), *_controls(item))]
        if not self.found:
            looked = len(self.classes) - len(self.skipped)
            lines.append(f"no shortcut found: no small place decides any of {looked} classes of {self.model}")
        lines += [f"note: {item.text()}" for item in self.unused]
        lines += [f"not looked at: {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def save(self, path: str | Path) -> None:
        """Write JSON, and beside it the pictures, where there are any, as `.safetensors`; `Shortcuts.load` reads both
        back."""
        path = Path(path)
        arrays = {
            f"{part}/{at}/{name}": getattr(item, name)
            for part in self._PARTS
            for at, item in enumerate(getattr(self, part))
            for name in item._ARRAYS
        }
        pictures = path.with_suffix(".safetensors")
        if not arrays:
            write_json(path, self.as_dict())
            pictures.unlink(missing_ok=True)
            return
        # both are written in full before either replaces the old; a crash in between leaves no figures with others'
        # pictures
        with replacing(path) as temporary, replacing(pictures) as temporary_pictures:
            write_tensors(temporary_pictures, arrays)
            write_json(temporary, self.as_dict())
            path.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> Shortcuts:
        """Read what `save` wrote.

        Raises:
            OpsinError: a file is missing or holds something else.
        """
        path = Path(path)
        values = read_json(path)
        try:
            parts = {"found": values.pop("shortcuts"), "unused": values.pop("unused")}
            arrays = read_tensors(path.with_suffix(".safetensors"))[0] if any(parts.values()) else {}
            items = {
                part: tuple(_shortcut(item, arrays, f"{part}/{at}/") for at, item in enumerate(stored))
                for part, stored in parts.items()
            }
            tuples = {name: tuple(values.pop(name)) for name in ("classes", "notes")}
            return cls(**items, **tuples, **values)
        except (KeyError, TypeError, AttributeError) as error:
            raise OpsinError(
                f"{path} holds no search for shortcuts ({error}); run opsin check RUN --shortcuts"
            ) from error


def _shortcut(stored: dict[str, Any], arrays: dict[str, np.ndarray], prefix: str) -> Shortcut:
    values: dict[str, Any] = {name: value for name, value in stored.items() if name not in ("class", "place")}
    for name, value in values.items():
        if isinstance(value, dict):
            values[name] = Share(value["value"], Interval(**value["interval"]), value["images"])
    for name in ("region", "size", "original"):
        values[name] = None if values[name] is None else tuple(values[name])
    values["answers"] = tuple(tuple(row) for row in values["answers"])
    pictures: dict[str, Any] = {name: arrays[prefix + name] for name in Shortcut._ARRAYS}
    return Shortcut(class_name=stored["class"], **values, **pictures)


def _controls(item: Shortcut) -> list[str]:
    carried = (
        "  the class's images show different things there"
        if item.carried is None
        else f"  {_percent(item.carried)} of the class's images show the same pixels there "
        f"({_percent(item.carried_held_out or 0)} of those that confirmed it), {_percent(item.carried_others or 0)} of "
        "the other classes'"
    )
    return [
        carried,
        f"  {_percent(item.gathered.value)} of the evidence for the class lies there, and "
        f"{_percent(item.gathered_others.value)} of the other classes'",
        f"  recall without it    {_with_interval(item.recall_without)}   without a place of that size elsewhere "
        f"{_percent(item.recall_control.value)}",
        f"  turned by pasting it {_with_interval(item.flips)}   by another class's image there "
        f"{_percent(item.flips_control.value)}, by a place of that size elsewhere "
        f"{_percent(item.flips_elsewhere.value)}",
        f"  p = {item.p_value:.1g} that it does no more than these controls",
    ]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _with_interval(share: Share) -> str:
    low, high = share.interval
    return f"{100 * share.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}] of {share.images:,}"
