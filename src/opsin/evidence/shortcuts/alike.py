"""Pixels that a class's images share and others do not have: what a mark leaves in the data, seen without a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, label

from opsin.evidence.shortcuts.boxes import Box, area, around, inside, overlap

TOLERANCE = 16  # of 0..255 in every channel, within which two pixels are the same
CARRIED = 0.35  # share of a class's images that have the same pixel, from which on it may be a mark
RARE = 0.1  # share of other images that carry a mark, up to which it belongs to the class
RARE_PIXEL, TIMES = (
    0.25,
    2.5,
)  # share of other images that have one of its pixels, and how much oftener the class has it
SAME = 0.8  # share of a mark's pixels that an image has to have to carry it
EXAMPLES = 12
LEVELS = (0.95, 0.85, 0.75, 0.65, 0.55, 0.45, CARRIED)
NEARLY = 0.9  # share of the images that carry a mark, that each of its pixels is carried by
FEWEST_PIXELS = 3
HALF = 0.5  # of how much images differ at their liveliest places
RING = 0.08  # of the picture's side: the width of what is around a mark
FADED = 0.4  # share of a mark's images that have the same pixels around it too, at most
BACKGROUND = 0.2  # share of all pixels from which on a colour is the pictures' background and no mark


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
    everywhere = _background(values, own) | _background(values, others)
    share = np.where(rare & ~everywhere, share, 0.0)
    marks: list[Mark] = []

    def at_level(level: float) -> list[Mark]:
        found = [Mark(around(mask), mask, values) for mask in _connected(share >= level)]
        return [
            mark
            for mark in found
            if mark.mask.sum() >= FEWEST_PIXELS
            and area(mark.box) <= largest * share.size
            and _stands_out(mark.mask, share)
            and mark.carried_by(own).mean() >= CARRIED
            and mark.carried_by(others).mean() <= RARE
        ]

    # From what nearly all of the class's images share to what fewer do: beside a mark there may be pixels that its
    # objects happen to share, but of fewer images.
    for level in LEVELS:
        for mark in at_level(level):
            if not any(overlap(mark.box, known.box) for known in marks):
                whole = at_level(NEARLY * float(mark.carried_by(own).mean()))
                marks.append(next((other for other in whole if other.mask[mark.mask].all()), mark))
    return sorted(marks, key=lambda mark: -float(mark.carried_by(own).mean() * mark.mask.sum() ** 0.5))


def _connected(places: np.ndarray) -> list[np.ndarray]:
    """The parts of bool `(h, w)` that hang together, gaps of up to two pixels bridged, as patterns have them."""
    every = np.ones((3, 3))
    numbered = np.asarray(label(binary_dilation(places, every), every)[0])  # type: ignore[index]
    return [(numbered == at) & places for at in range(1, numbered.max() + 1)]


def _stands_out(mask: np.ndarray, share: np.ndarray) -> bool:
    """Whether the pixels around are shared by far fewer images: a mark has an edge, an object fades out."""
    width = max(2, round(max(mask.shape) * RING))
    near, beside = (binary_dilation(mask, np.ones((side, side))) for side in (3, 2 * width + 1))
    ring = np.logical_and(beside, np.logical_not(near))
    return not ring.any() or bool(share[ring].mean() <= FADED * share[mask].mean())


def _background(values: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Bool `(h, w)`: where `values` have a colour that many pixels of the images have, wherever they lie: what is
    empty, such as the gap between two legs, is no mark, nor is the ground that all images of a class show."""
    share = np.zeros(values.shape[:2])
    for shift in (0, TOLERANCE):  # two grids of colours, so that none lies at the edge of both
        counts = np.bincount(_bins(images, shift).ravel(), minlength=16 ** values.shape[-1])
        share = np.maximum(share, counts[_bins(values, shift)] / counts.sum())
    return share >= BACKGROUND


def _bins(pixels: np.ndarray, shift: int) -> np.ndarray:
    """One number per pixel of `(..., c)`: its colour in steps of twice the tolerance."""
    steps = (pixels.astype(np.int64) + shift) // (2 * TOLERANCE)
    return steps @ (16 ** np.arange(pixels.shape[-1]))


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
        share[better], rare[better] = here[better], ((there <= RARE_PIXEL) & (there * TIMES <= here))[better]
    return best, share, rare


def _same(pixels: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Whether pixels `(n, ..., c)` are those of `(..., c)`, within the tolerance."""
    apart = np.maximum(pixels, value) - np.minimum(pixels, value)
    return np.asarray((apart <= TOLERANCE).all(axis=-1))


class FreePlaces:
    """Which places of images uint8 `(n, h, w, c)` are no object's.

    Where objects are aligned, images differ much more in the middle than at their quietest places, such as an empty
    border. Where they are not, every place is as good as another, and all are free.
    """

    def __init__(self, images: np.ndarray) -> None:
        self._spread = images.astype(np.float32).std(axis=0).mean(axis=-1)
        quiet, lively = np.quantile(self._spread, (0.1, 0.95))
        self._limit = HALF * lively if quiet < HALF * lively else np.inf

    def has(self, box: Box) -> bool:
        """Whether images differ little inside the box, or everywhere alike."""
        return bool(self._spread[inside(box)].mean() <= self._limit)
