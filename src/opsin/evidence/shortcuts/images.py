"""The images that a search for shortcuts looks at: one half to search in, the other to confirm on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from opsin.data.dataset import Dataset, Split
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.inference.answers import Progress, batch_size, class_positions, known_classes, log_probabilities
from opsin.models.classifier import Classifier

FEWEST = 8  # images of a class in each half, below which nothing can be said about it
ENOUGH = 20  # held-out images of a class, below which training images are taken to confirm on


@dataclass(frozen=True)
class Images:
    """Labelled images and what the network answers on them.

    Attributes:
        pixels: uint8 `(n, h, w, c)`, as the network gets them before normalising.
        labels, answers: int64 `(n,)`: positions in the network's classes.
        held_out: how many of them are not in the training split.
    """

    pixels: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    held_out: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def of(self, label: int) -> np.ndarray:
        """Positions of the images of a class."""
        return np.flatnonzero(self.labels == label)

    def recognised(self, label: int) -> np.ndarray:
        """Positions of the images of a class that the network recognises."""
        return np.flatnonzero((self.labels == label) & (self.answers == label))

    def others(self, label: int, count: int) -> np.ndarray:
        """Positions of about `count` recognised images of the other classes, of every class as many where there are,
        the classes taking turns."""
        rows = [self.recognised(other) for other in np.unique(self.labels).tolist() if other != label]
        rows = [found for found in rows if len(found)]
        each = -(-count // max(1, len(rows)))
        turns = [[int(found[at]) for found in rows if at < len(found)] for at in range(each)]
        return np.array([row for turn in turns for row in turn][: max(count, len(rows))], np.int64)


@dataclass(frozen=True)
class Network:
    """A Classifier that answers on pixels."""

    model: Classifier
    preprocess: Preprocess

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """float32 `(n, classes)` of uint8 `(n, h, w, c)`."""
        parts = [log_probabilities(self.model, self.preprocess.normalise(part)) for part in _batches(pixels)]
        return np.exp(np.concatenate(parts))


def open_network(model: Classifier) -> Network:
    """The Classifier, once it is seen to read pictures.

    Raises:
        OpsinError: it has no Preprocess.
    """
    if model.preprocess is None:
        raise OpsinError(
            f"{model.label} has no Preprocess and cannot read pictures; give Classifier(module, classes=..., "
            "preprocess=...)"
        )
    return Network(model, model.preprocess)


def choose_images(
    network: Network, data: Dataset | Split, per_class: int, seed: int, progress: Progress | None
) -> tuple[Images, Images]:
    """Up to `per_class` images of each class to search in, and as many others to confirm on.

    Of a Dataset the first are training images, since that is where a network learns a shortcut, and the second
    validation images, which it was not trained on, with training images where a class has too few of them; the test
    images are left alone. A Split is divided in two.

    Raises:
        OpsinError: the data has a class that the model does not know.
    """
    dataset = data.dataset if isinstance(data, Split) else data
    positions = class_positions(network.model, dataset.classes)
    rng = np.random.default_rng(seed)
    first, second = dataset.train.indices, dataset.validation.indices
    if isinstance(data, Split) or not len(first):
        first, second = data.indices if isinstance(data, Split) else second, first[:0]
    rows: tuple[list[int], list[int]] = [], []
    for label in range(len(dataset.classes)):
        own, fresh = (rng.permutation(part[dataset.labels[part] == label]).tolist() for part in (first, second))
        half = len(own) // 2 if len(fresh) < ENOUGH else len(own)
        rows[0].extend(own[:half][:per_class])
        rows[1].extend((fresh + own[half:])[:per_class])
    pixels = dataset.pixels(network.preprocess, None if progress is None else partial(progress, "decoding"))
    searched, held = (_answered(network, pixels, dataset, np.array(part, np.int64), positions) for part in rows)
    return searched, held


def _answered(
    network: Network, pixels: np.ndarray, dataset: Dataset, rows: np.ndarray, positions: np.ndarray
) -> Images:
    chosen, labels = np.asarray(pixels[rows]), positions[dataset.labels[rows]]
    answers = network.probabilities(chosen).argmax(axis=1) if len(rows) else labels
    return Images(chosen, labels, answers, int((dataset.splits[rows] != "train").sum()))


def class_names(network: Network) -> tuple[str, ...]:
    """The network's classes."""
    return known_classes(network.model)


def _batches(pixels: np.ndarray) -> Iterator[np.ndarray]:
    step = batch_size(pixels[0].size) if len(pixels) else 1
    for start in range(0, len(pixels), step):
        yield pixels[start : start + step]
