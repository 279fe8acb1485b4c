"""Which images go into which step: the order of an epoch, as a function of (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opsin.errors import OpsinError


class Sampler:
    """Cuts every epoch's order into batches. It has no state, so that a resumed run goes on in the same order.

    Every image comes once per epoch; the last batch is smaller where the number of images asks for that. A
    `balanced` epoch is as long, but every class fills an equal share of it (to within one image): images of small
    classes come repeatedly, some of large ones not at all. Within a class no image comes more than once more often
    than another, and which ones do is drawn anew in every epoch.

    Args:
        labels: int `(n,)`, the class of each image.
        batch_size: images per step.
        seed: decides the orders, 0 or more.
        balanced: draw every class that has images equally often.

    Raises:
        OpsinError: there is no image, or the batch size is below 1.
    """

    def __init__(self, labels: np.ndarray, *, batch_size: int, seed: int, balanced: bool) -> None:
        if not len(labels):
            raise OpsinError("there are 0 images to draw batches from; expected at least 1 for training")
        if batch_size < 1:
            raise OpsinError(f"batch_size={batch_size} cannot be used; give 1 or more images per step")
        self._count = len(labels)
        self._batch_size = batch_size
        self._seed = seed
        self._classes = [np.flatnonzero(labels == label) for label in np.unique(labels)] if balanced else None

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has, the last partial one included."""
        return -(-self._count // self._batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """int64 `(n,)`: the positions of the images in the order in which epoch `epoch` (from 0) takes them."""
        draw = np.random.default_rng([self._seed, epoch])
        if self._classes is None:
            return draw.permutation(self._count)
        quotas = np.full(len(self._classes), self._count // len(self._classes))
        quotas[draw.permutation(len(quotas))[: self._count % len(quotas)]] += 1
        drawn = [_spread(members, quota, draw) for members, quota in zip(self._classes, quotas, strict=True)]
        return draw.permutation(np.concatenate(drawn))

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[np.ndarray]:
        """int64 positions of the images of each step of an epoch, from `start_step` on."""
        order = self.order(epoch)
        for start in range(start_step * self._batch_size, self._count, self._batch_size):
            yield order[start : start + self._batch_size]


def _spread(members: np.ndarray, quota: int, draw: np.random.Generator) -> np.ndarray:
    """`quota` draws out of `members`, spread over them as evenly as possible."""
    whole, rest = divmod(int(quota), len(members))
    return np.concatenate([np.tile(members, whole), draw.permutation(members)[:rest]])
