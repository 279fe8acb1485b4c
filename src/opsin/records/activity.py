"""What a unit sees and what excites it: receptive fields, and the images that a channel answers to most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError, some
from opsin.records.common import jsonable
from opsin.records.stored import load_record, save_record

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ReceptiveField:
    """The part of the input on which one unit of a layer can depend. Boxes are (top, left, bottom, right) in pixels of
    the input; bottom and right are the first row and column outside.

    Attributes:
        layer: the layer's name.
        unit: (channel, row, column); (row, column) for any channel there; (feature,) of a layer without places.
        size: height and width of the input.
        box: the structural field: every pixel that can change the unit, whatever the weights; None where none can.
        local: the field without what only rescales a whole channel by a statistic of the picture (the gates of
            squeeze-and-excitation, the mean and spread of group normalisation); equal to `box` where the network has
            none of these before the layer, None where nothing else reaches the unit (behind global pooling).
        unclipped: the local field on a plane without borders: it may reach beyond the picture. None where it is not
            the same from place to place, so that no such field exists.
        ignored: the modules whose statistics `local` leaves out.
    """

    layer: str
    unit: tuple[int, ...]
    size: tuple[int, int]
    box: Box | None
    local: Box | None
    unclipped: Box | None
    ignored: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the structural field is the whole picture."""
        return self.box == (0, 0, *self.size)

    @property
    def shown(self) -> Box | None:
        """The field to draw: the local one, or the structural one where there is no local one."""
        return self.local or self.box

    def text(self) -> str:
        """The field in a sentence or two."""
        where = f"unit {self.unit} of {self.layer}"
        if self.box is None:
            return f"{where} depends on no pixel of the input"
        field = self.local or self.box
        said = f"{where} sees {_span(field)} of {self.size[0]} x {self.size[1]} pixels"
        if self.unclipped is not None and self.unclipped != field:
            said += f"; without the picture's border {_span(self.unclipped)}"
        if self.local is None and self.ignored:
            said += f"; it lies behind {some(self.ignored, 3)}, which look at the whole picture"
        elif self.local != self.box:
            said += (
                f"; through {some(self.ignored, 3)}, whose statistics rescale whole channels, it depends on "
                f"{'the whole picture' if self.whole else _span(self.box)}"
            )
        return said

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**jsonable(self), "whole": self.whole}


@dataclass(frozen=True)
class TopImages:
    """Which images excite the channels of a layer most, where, and how selective each channel is for a class.

    c channels are described, k images are listed per channel, best first; a place in the list that no image fills has
    the position -1. Activity is `max(activation, 0)`.

    Attributes:
        layer: the layer's name; `grid` (height, width) of its maps, `size` of the input in pixels.
        channels: int64 `(c,)`: which channels.
        names, positions: names of the listed images, and per channel int64 `(c, k)` which of them.
        values: float32 `(c, k)`: the largest activation over the places of the image.
        places: int64 `(c, k, 2)`: row and column of that place in the maps.
        boxes: int64 `(c, k, 4)`: its receptive field in the input, (top, left, bottom, right).
        originals: float64 `(c, k, 4)`: the same box in the original picture's pixels, or None where it is not known.
        field: `local` or `structural`: which receptive field the boxes are (see ReceptiveField).
        ignored: modules that the local field leaves out.
        dead: int64: channels that are never above zero, on no image and at no place.
        images: how many were looked at; `copies` were left out as exact duplicates, `unreadable` as such.
        classes, class_means: class names, and float64 `(c, classes)`: mean activity over places and images of a class;
            None where the images have no labels.
        selectivity: float64 `(c,)`: class selectivity index (Morcos et al. 2018, On the importance of single
            directions for generalization): (largest class mean - mean of the others) / their sum, 0..1.
        preferred: int64 `(c,)`: the class with the largest mean.
        p_values: float64 `(c,)`: share of shuffles of the labels after which some channel stands out as much, so that
            it holds for all channels together.
        protocol: how the control was made.
        crops: uint8 `(m, k, h, w, 3)`: what lies in the boxes, of the first m channels; the unit is at the same place
            of every crop unless the picture's border is in the way; `inside` int64 `(m, k, 4)` says which part of the
            crop is picture, `cells` `(m, k, 4)` where in it the unit's own place lies.
        notes: what a reader has to know.
    """

    layer: str
    grid: tuple[int, int]
    size: tuple[int, int]
    channels: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    values: np.ndarray
    places: np.ndarray
    boxes: np.ndarray
    field: str
    ignored: tuple[str, ...]
    dead: np.ndarray
    images: int
    copies: int
    unreadable: int
    crops: np.ndarray
    inside: np.ndarray
    cells: np.ndarray
    originals: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    class_means: np.ndarray | None = None
    selectivity: np.ndarray | None = None
    preferred: np.ndarray | None = None
    p_values: np.ndarray | None = None
    protocol: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    LEVEL = 0.05

    def __post_init__(self) -> None:
        shape = (len(self.channels), self.positions.shape[1])
        for name, width in (("positions", ()), ("values", ()), ("places", (2,)), ("boxes", (4,))):
            if getattr(self, name).shape != (*shape, *width):
                raise OpsinError(f"{name} have shape {getattr(self, name).shape}, expected {(*shape, *width)}")

    def __len__(self) -> int:
        return len(self.channels)

    @property
    def selective(self) -> np.ndarray:
        """bool `(c,)`: channels whose selectivity chance does not explain."""
        if self.p_values is None:
            return np.zeros(len(self), bool)
        return self.p_values <= self.LEVEL

    def describe(self, row: int) -> str:
        """One channel (by its row in `channels`) in a sentence."""
        channel = int(self.channels[row])
        if channel in self.dead:
            return f"channel {channel} is dead: above zero on none of {self.images:,} images"
        if self.selectivity is None or self.preferred is None or self.p_values is None:
            return f"channel {channel}: at most {self.values[row, 0]:.3g}"
        name, index, p = self.classes[self.preferred[row]], self.selectivity[row], self.p_values[row]
        if self.selective[row]:
            return f"channel {channel} is selective for {name} (index {index:.2f}, p = {p:.2g})"
        return f"channel {channel}: no class stands out beyond chance (index {index:.2f} for {name}, p = {p:.2g})"

    def text(self) -> str:
        """What was found, in plain sentences."""
        lines = [f"{len(self)} channels of {self.layer} on {self.images:,} images"]
        if self.copies:
            lines.append(f"{self.copies:,} exact copies were left out")
        if len(self.dead):
            lines.append(f"{len(self.dead)} dead: {some([str(c) for c in self.dead])}")
        if self.p_values is not None:
            rows = np.flatnonzero(self.selective)
            lines.append(f"{len(rows)} selective for a class beyond chance")
            assert self.selectivity is not None
            lines += [self.describe(row) for row in rows[np.argsort(-self.selectivity[rows], kind="stable")][:5]]
        which = f"local, without {some(self.ignored, 3)}" if self.field == "local" and self.ignored else self.field
        lines.append(f"crops are receptive fields ({which})")
        return "\n".join([*lines, *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the crops."""
        rows = []
        for row, channel in enumerate(self.channels.tolist()):
            listed = self.positions[row] >= 0
            top = [
                {
                    "image": self.names[self.positions[row, at]],
                    "value": float(self.values[row, at]),
                    "place": self.places[row, at].tolist(),
                    "box": self.boxes[row, at].tolist(),
                    "original": None if self.originals is None else self.originals[row, at].tolist(),
                }
                for at in np.flatnonzero(listed)
            ]
            found: dict[str, Any] = {"channel": channel, "dead": channel in self.dead, "images": top}
            if self.class_means is not None and self.preferred is not None:
                assert self.selectivity is not None
                assert self.p_values is not None
                found |= {
                    "class": self.classes[self.preferred[row]],
                    "selectivity": self.selectivity[row],
                    "p_value": self.p_values[row],
                    "selective": bool(self.selective[row]),
                    "class_means": self.class_means[row],
                }
            rows.append(found)
        heads = ("layer", "grid", "size", "images", "copies", "unreadable", "field", "ignored", "classes", "protocol")
        return jsonable({**{name: getattr(self, name) for name in heads}, "channels": rows, "notes": self.notes})

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `TopImages.load` reads it back."""
        save_record(self, path)

    @classmethod
    def load(cls, path: str | Path) -> TopImages:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no TopImages.
        """
        return load_record(cls, path)


def _span(box: Box) -> str:
    top, left, bottom, right = box
    return f"rows {top} to {bottom - 1} and columns {left} to {right - 1} ({bottom - top} x {right - left})"
