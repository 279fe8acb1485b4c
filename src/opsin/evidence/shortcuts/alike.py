"""Pixels that a class's images share and others do not have: what a mark leaves in the data, seen without a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, label

from opsin.evidence.shortcuts.boxes import Box, area, around

TOLERANCE = 16  # of 0..255 in every channel, within which two pixels are the same
CARRIED = 0.35  # share of a class's images that have the same pixel, from which on it may be a mark
RARE = 0.1  # share of other images that have it, up to which it belongs to the class
SAME = 0.8  # share of a mark's pixels that an image has to have to carry it
EXAMPLES = 12
FEWEST_PIXELS = 3
BACKGROUND = 0.25  # share of all pixels from which on a colour is the pictures' background and no mark


@dataclass(frozen=True)
class Mark:
    """The same pixels at the same place in many images of one class.

    Attributes:
        box: around them.
        mask: bool `(h, w)`: which pixels of the image they are.
        values: uint8 `(h, w, c)`: what they show; other places have no meaning.
    """

    box: Box
    mask: np.ndarray
    values: np.ndarray

    def carried_by(self, pixels: np.ndarray) -> np.ndarray:
        """Bool `(n,)`: which of the images uint8 `(n, h, w, c)` show it."""
        return _same(pixels[:, self.mask], self.values[self.mask]).mean(axis=1) >= SAME


def find_marks(own: np.ndarray, others: np.ndarray, largest: float) -> list[Mark]:
    """Marks of a class, those that most images carry first.

    Args:
        own: uint8 `(n, h, w, c)`, images of the class.
        others: uint8 `(m, h, w, c)`, images of other classes.
        largest: share of the picture beyond which a common place is no mark but a background.
    """
    values, share, rare = _common_pixels(own, others)
    common = (share >= CARRIED) & rare
    found = np.asarray(label(binary_dilation(common, np.ones((3, 3))), np.ones((3, 3)))[0])  # type: ignore[index]
    marks = []
    for at in range(1, found.max() + 1):
        mask = (found == at) & common
        mark = Mark(around(mask), mask, values)
        if mask.sum() < FEWEST_PIXELS or area(mark.box) > largest * mask.size:
            continue
        if mark.carried_by(own).mean() < CARRIED or mark.carried_by(others).mean() > RARE:
            continue
        if _background_share(mark, others) < BACKGROUND:
            marks.append(mark)
    return sorted(marks, key=lambda mark: -float(mark.carried_by(own).mean() * mark.mask.sum() ** 0.5))


def _background_share(mark: Mark, others: np.ndarray) -> float:
    """Mean share of all pixels of images that have a pixel's colour: what is empty, such as the gap between two legs,
    has that of the background."""
    shown = mark.values[mark.mask]
    few = shown[np.linspace(0, len(shown) - 1, min(len(shown), EXAMPLES)).astype(int)]
    return float(np.mean([_same(others[: 4 * EXAMPLES], value).mean() for value in few]))


def _common_pixels(own: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per place, of the pixels that a few images have: the one that is most of the class's own `(h, w, c)`, the share
    of the class's images that have it `(h, w)`, and whether few others do."""
    best = np.zeros(own.shape[1:], np.uint8)
    gain = np.full(own.shape[1:3], -1.0)
    share, rare = np.zeros(gain.shape), np.zeros(gain.shape, bool)
    for example in own[:EXAMPLES]:
        here, there = _same(own, example).mean(axis=0), _same(others, example).mean(axis=0)
        better = here - there > gain
        best[better], gain[better] = example[better], (here - there)[better]
        share[better], rare[better] = here[better], (there <= RARE)[better]
    return best, share, rare


def _same(pixels: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Whether pixels `(n, ..., c)` are those of `(..., c)`, within the tolerance."""
    apart = np.maximum(pixels, value) - np.minimum(pixels, value)
    return np.asarray((apart <= TOLERANCE).all(axis=-1))
