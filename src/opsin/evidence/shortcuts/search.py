"""Searching one half of the images: which small place could a class be recognised by?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opsin.evidence.shortcuts.alike import FreePlaces, Mark, find_marks
from opsin.evidence.shortcuts.boxes import Box, inside, overlap, windows
from opsin.evidence.shortcuts.exchange import turned
from opsin.evidence.shortcuts.images import Images, Network

LARGEST = 0.12  # share of the picture that a place may cover
SIDES = (9, 6, 4)  # windows have the picture's side divided by these
PLACES_PER_SIDE = 3
MARKS = 3
CARRIED_ON_OBJECT = 0.65  # share of the class's images that carry a mark where objects lie, lest it is a part of them
EXPLAINED = 64  # images of a class
ONTO = 48  # images of other classes that a part is pasted on
DONORS = 16  # images of the class that parts are taken from
KEPT = 0.95  # share of the effect that a smaller place has to have to be taken instead
EXPLAINS = 0.8  # share of a place's effect that a mark in it has to have to be the reason


@dataclass(frozen=True)
class Candidate:
    """A place that a class may be recognised by.

    Attributes:
        label: the class.
        box: the place.
        mark: the pixels that the class's images share there; None where they do not.
        donors: positions, among the images that were searched, of images of the class that show it.
        flips: share of other images that become the class when the place is pasted on them.
        probability: the class's mean probability then.
    """

    label: int
    box: Box
    mark: Mark | None
    donors: np.ndarray
    flips: float
    probability: float


def search_class(network: Network, images: Images, label: int, maps: np.ndarray) -> list[Candidate]:
    """The marks that the class's images carry, and the place by which most images of other classes become this one,
    unless a mark explains it. `maps` are those of `explained(images, label)`."""
    seen = _Search(network, images, label, explained(images, label), images.others(label, ONTO), maps)
    own, others = images.pixels[images.of(label)[:EXPLAINED]], images.pixels[images.others(label, 2 * EXPLAINED)]
    free = FreePlaces(others)
    marks = [
        mark
        for mark in find_marks(own, others, LARGEST)
        if free.has(mark.box) or mark.carried_by(own).mean() >= CARRIED_ON_OBJECT
    ]
    found = [seen.measure(mark.box, mark) for mark in marks[:MARKS]]
    places = [seen.measure(box) for box in gathering_places(maps) if free.has(box)]
    if places:
        best = seen.shrink(max(places, key=lambda place: (place.flips, place.probability)))
        enough = EXPLAINS * best.probability
        shown = [mark for mark in found if overlap(mark.box, best.box) and mark.probability >= enough]
        found += [] if shown else [best]
    return found


def explained(images: Images, label: int) -> np.ndarray:
    """Positions of the images of a class whose maps are looked at: recognised ones."""
    return images.recognised(label)[:EXPLAINED]


def gathering_places(maps: np.ndarray) -> list[Box]:
    """Windows of a few sizes in which the maps `(n, h, w)` have most evidence on average, apart from one another."""
    mean = maps.mean(axis=0)
    size = (mean.shape[0], mean.shape[1])
    sums = np.pad(mean.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    found: list[Box] = []
    for divisor in SIDES:
        height, width = (max(2, round(side / divisor)) for side in size)
        boxes = windows(size, height, width, max(1, min(height, width) // 3))
        totals = [sums[b, r] - sums[t, r] - sums[b, left] + sums[t, left] for t, left, b, r in boxes]
        chosen: list[Box] = []
        for at in np.argsort(totals, kind="stable")[::-1]:
            if totals[at] <= 0 or len(chosen) == PLACES_PER_SIDE:
                break
            if not any(overlap(boxes[at], other) for other in chosen):
                chosen.append(boxes[at])
        found += chosen
    return found


@dataclass(frozen=True)
class _Search:
    """One class of the half that is searched."""

    network: Network
    images: Images
    label: int
    rows: np.ndarray
    onto: np.ndarray
    maps: np.ndarray

    def measure(self, box: Box, mark: Mark | None = None, donors: np.ndarray | None = None) -> Candidate:
        """What pasting the place does."""
        donors = self._donors(box, mark) if donors is None else donors
        parts = self.images.pixels[np.resize(donors, len(self.onto))]
        hits, probability = turned(self.network, self.images.pixels[self.onto], parts, box, self.label)
        return Candidate(self.label, box, mark, donors, float(hits.mean()), probability)

    def shrink(self, found: Candidate) -> Candidate:
        """The smallest place inside that still does about the same."""
        enough = KEPT * found.probability
        step = max(1, min(found.box[2] - found.box[0], found.box[3] - found.box[1]) // 6)
        smaller = found
        while True:
            tried = [self.measure(box, None, found.donors) for box in _cut(smaller.box, step)]
            good = [other for other in tried if other.probability >= enough]
            if not good:
                return smaller
            smaller = max(good, key=lambda other: other.probability)

    def _donors(self, box: Box, mark: Mark | None) -> np.ndarray:
        """Images of the class that show the mark, or whose maps have most evidence at the place."""
        if mark is not None:
            own = self.images.of(self.label)
            return own[mark.carried_by(self.images.pixels[own])][:DONORS]
        rows, columns = inside(box)
        evidence = self.maps[:, rows, columns].sum(axis=(1, 2))
        return self.rows[np.argsort(-evidence, kind="stable")[:DONORS]]


def _cut(box: Box, step: int) -> list[Box]:
    """The box without a strip at each side, where at least two pixels are left."""
    top, left, bottom, right = box
    boxes: Sequence[Box] = (
        (top + step, left, bottom, right),
        (top, left + step, bottom, right),
        (top, left, bottom - step, right),
        (top, left, bottom, right - step),
    )
    return [cut for cut in boxes if cut[2] - cut[0] >= 2 and cut[3] - cut[1] >= 2]
