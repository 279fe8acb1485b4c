"""Confirming on the other half of the images what the search proposed: the effect of a place, beside its controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.evidence.shortcuts.boxes import Box, overlap
from opsin.evidence.shortcuts.exchange import turned
from opsin.evidence.shortcuts.images import Images, Network
from opsin.evidence.shortcuts.search import Candidate

ONTO = 180  # images of other classes that a part is pasted on
ELSEWHERE = 8  # places of the same size that the effect is compared with
FLIPS = 20_000
LESS = 0.5  # of what the searched images carry a mark, below which the held-out ones lack it
FILLS = 4  # images of other classes that take the place's part, in turn


@dataclass(frozen=True)
class Effect:
    """What a place does, image by image. Bool or float `(n,)`, n being images of other classes or of the class.

    The images of the class are held-out ones; or searched ones where the held-out ones do not carry the mark.

    Attributes:
        flips: which images of other classes become the class when it is pasted on them.
        flips_other: which do when another class's image is pasted there instead.
        flips_elsewhere: share of places of the same size at which the class's image turns it.
        recognised: which images of the class are recognised as they are.
        without: share of the fills (what other classes' images show there) with which each is recognised.
        without_elsewhere: the same at places of the same size.
    """

    flips: np.ndarray
    flips_other: np.ndarray
    flips_elsewhere: np.ndarray
    recognised: np.ndarray
    without: np.ndarray
    without_elsewhere: np.ndarray

    @property
    def flips_gain(self) -> np.ndarray:
        """float `(n,)`: how much more often the place turns an image than the control that turns more."""
        controls = (self.flips_other.astype(np.float64), self.flips_elsewhere)
        return self.flips - max(controls, key=lambda values: values.mean())

    @property
    def recall_loss(self) -> np.ndarray:
        """float `(n,)`: how much more recognition the place costs than places of the same size."""
        return self.without_elsewhere - self.without

    def p_value(self, seed: int = 0) -> float:
        """One-sided, that the place does nothing more than its controls: sign-flip test over images (the larger one of
        two controls for flips), for the better of the two effects, doubled as two are looked at."""
        controls = (self.flips_other.astype(np.float64), self.flips_elsewhere)
        turned = max(_sign_flip_test(self.flips - control, seed) for control in controls)
        return min(1.0, 2 * min(turned, _sign_flip_test(self.recall_loss, seed)))


def measure_effect(network: Network, search: Images, held: Images, found: Candidate, seed: int) -> Effect:
    """The effect of a candidate's place on images that had no part in finding it."""
    rng = np.random.default_rng([seed, found.label])
    onto = held.others(found.label, ONTO)
    recipients = held.pixels[onto]
    shown = search.pixels[rng.permutation(np.resize(found.donors, len(onto)))]
    strangers = search.pixels[_strangers(search, found.label, len(onto), rng, held.labels[onto])]
    places = _elsewhere(found.box, held.size, rng)
    source = with_the_mark(search, held, found)
    own = source.of(found.label)
    images = source.pixels[own]
    fills = [fill(search, found.label, len(own), rng) for _ in range(FILLS)]

    def recognised(box: Box, filling: np.ndarray) -> np.ndarray:
        return turned(network, images, filling, box, found.label)[0]

    return Effect(
        flips=turned(network, recipients, shown, found.box, found.label)[0],
        flips_other=turned(network, recipients, strangers, found.box, found.label)[0],
        flips_elsewhere=np.mean([turned(network, recipients, shown, box, found.label)[0] for box in places], axis=0),
        recognised=source.answers[own] == found.label,
        without=np.mean([recognised(found.box, filling) for filling in fills], axis=0),
        without_elsewhere=np.mean([recognised(box, fills[at % FILLS]) for at, box in enumerate(places)], axis=0),
    )


def carried(images: Images, found: Candidate) -> float:
    """Share of the images of the class that carry the candidate's mark; 0 where it has none."""
    return 0.0 if found.mark is None else float(found.mark.carried_by(images.pixels[images.of(found.label)]).mean())


def with_the_mark(search: Images, held: Images, found: Candidate) -> Images:
    """The held-out images, or the searched ones where only these carry the candidate's mark."""
    return search if carried(held, found) < LESS * carried(search, found) else held


def fill(images: Images, label: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 `(count, h, w, c)`: images of other classes, in whose place they take what the class's images show."""
    return images.pixels[_strangers(images, label, count, rng)]


def holm(values: list[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979, A simple sequentially rejective multiple test procedure)."""
    corrected = [0.0] * len(values)
    reached = 0.0
    for rank, at in enumerate(sorted(range(len(values)), key=lambda at: values[at])):
        reached = max(reached, min(1.0, values[at] * (len(values) - rank)))
        corrected[at] = reached
    return corrected


def _sign_flip_test(differences: np.ndarray, seed: int) -> float:
    """p-value of the mean of paired differences `(n,)`: did they come from nothing, each could as well have the other
    sign (Fisher 1935, The design of experiments). FLIPS draws, the observed one among them."""
    apart = differences[differences != 0]
    if not len(apart):
        return 1.0
    rng = np.random.default_rng(seed)
    step, reached = max(1, 2_000_000 // len(apart)), 0
    for start in range(0, FLIPS, step):
        signs = rng.integers(0, 2, (min(step, FLIPS - start), len(apart))) * 2.0 - 1
        reached += int((signs @ apart >= apart.sum() - 1e-9).sum())
    return (1 + reached) / (1 + FLIPS)


def _strangers(
    images: Images, label: int, count: int, rng: np.random.Generator, apart: np.ndarray | None = None
) -> np.ndarray:
    """Positions of images of other classes, as many of each class; with `apart`, of another class than each of these
    labels too where there is one."""
    rows = images.others(label, count)
    chosen = rng.permutation(np.resize(rows, count))
    if apart is not None:
        for at in np.flatnonzero(images.labels[chosen] == apart):
            free = rows[images.labels[rows] != apart[at]]
            chosen[at] = rng.choice(free) if len(free) else chosen[at]
    return chosen


def _elsewhere(box: Box, size: tuple[int, int], rng: np.random.Generator) -> list[Box]:
    """Places of the box's size apart from it, drawn at random."""
    height, width = box[2] - box[0], box[3] - box[1]
    tops, lefts = np.arange(size[0] - height + 1), np.arange(size[1] - width + 1)
    every = [(top, left, top + height, left + width) for top in tops.tolist() for left in lefts.tolist()]
    apart = [other for other in every if not overlap(other, box)]
    return [apart[at] for at in rng.permutation(len(apart))[:ELSEWHERE]]
