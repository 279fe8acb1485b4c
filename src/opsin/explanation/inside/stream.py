"""Images of a Dataset, a split, or any others, a bounded number at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opsin.data.dataset import Dataset, Split
from opsin.data.images import Opened, Source, decode_each, each_image, stacked
from opsin.errors import OpsinError
from opsin.inference.answers import batch_size
from opsin.models.classifier import Classifier
from opsin.records import Unreadable


@dataclass(frozen=True)
class Batch:
    """Some images of a Stream.

    Attributes:
        positions: int64 `(m,)` in the Stream.
        inputs: float `(m, c, h, w)` on the network's device.
        pixels: uint8 `(m, h, w, c)` before normalising, or None where the images were given as float tensors.
        geometry: float64 `(m, 4)`: where the inputs lie in the original pictures, or None.
    """

    positions: np.ndarray
    inputs: Tensor
    pixels: np.ndarray | None
    geometry: np.ndarray | None

    def hashes(self) -> list[str]:
        """What each input holds."""
        rows = self.inputs.float().cpu().numpy() if self.pixels is None else self.pixels
        return [hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).hexdigest() for row in rows]


@dataclass
class Stream:
    """Images, and what is known of each.

    Attributes:
        names: one per image.
        labels: int64 `(n,)` positions in `classes`, or None.
        hashes: content hashes, or None where they are not known before an image is opened.
        groups: of images that are not independent, or None.
        unreadable: files that could not be opened so far, by position.
    """

    model: Classifier
    names: tuple[str, ...]
    read: Callable[[np.ndarray], Batch]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    hashes: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    unreadable: dict[int, Unreadable] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def batches(self, positions: np.ndarray | None = None, most: int | None = None) -> Iterator[Batch]:
        """Batches of the images at some positions (all of them), in that order. Unreadable ones are left out."""
        wanted = np.arange(len(self)) if positions is None else positions
        if not len(wanted):
            return
        first = self.read(wanted[:1])
        step = batch_size(first.inputs[0].numel() * 4) if len(first.inputs) else 16
        step = step if most is None else min(step, most)
        for start in range(0, len(wanted), step):
            batch = self.read(wanted[start : start + step])
            if len(batch.positions):
                yield batch


def open_stream(model: Classifier, data: Any) -> Stream:
    """The images of `data`: a Dataset, one of its splits, or what `explain` takes as images.

    Raises:
        OpsinError: there are no images, or the Classifier cannot read pictures.
    """
    if isinstance(data, Dataset | Split):
        stream = _of_dataset(model, data)
    elif isinstance(data, Tensor):
        stream = _of_tensor(model, data)
    else:
        stream = _of_images(model, data)
    if not len(stream):
        raise OpsinError("no images were given; give a Dataset, a split with images, or one or more pictures")
    return stream


def drawn(count: int, most: int, seed: int) -> np.ndarray:
    """int64: all positions below `count`, or `most` of them drawn by the seed, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _of_dataset(model: Classifier, data: Dataset | Split) -> Stream:
    dataset, indices = (data, np.arange(len(data))) if isinstance(data, Dataset) else (data.dataset, data.indices)
    preprocess = model.preprocess
    if preprocess is None:
        raise OpsinError(
            f"{model.label} has no Preprocess and cannot read pictures; give Classifier(module, classes=..., "
            "preprocess=...)"
        )
    pixels = dataset.pixels(preprocess)

    def read(positions: np.ndarray) -> Batch:
        rows = indices[positions]
        some = np.asarray(pixels[rows])
        sizes = dataset.sizes[rows].tolist()
        geometry = np.array([preprocess.geometry((height, width)) for height, width in sizes]).reshape(-1, 4)
        return Batch(positions, model.inputs(preprocess.normalise(some))[0], some, geometry)

    at = indices.tolist()
    return Stream(
        model,
        tuple(dataset.names[i] for i in at),
        read,
        labels=dataset.labels[indices],
        classes=dataset.classes,
        hashes=tuple(dataset.hashes[i] for i in at),
        groups=None if dataset.groups is None else tuple(dataset.groups[i] or dataset.hashes[i] for i in at),
    )


def _of_tensor(model: Classifier, images: Tensor) -> Stream:
    inputs, names, _ = model.inputs(images)

    def read(positions: np.ndarray) -> Batch:
        return Batch(positions, inputs[torch.from_numpy(positions).to(inputs.device)], None, None)

    return Stream(model, names, read)


def _of_images(model: Classifier, images: Any) -> Stream:
    preprocess = model.preprocess
    if preprocess is None:
        model.inputs(images)  # says what is missing
        raise AssertionError
    sources: list[Source] = each_image(images)
    unreadable: dict[int, Unreadable] = {}

    def read(positions: np.ndarray) -> Batch:
        opened = decode_each([sources[at] for at in positions.tolist()], preprocess)
        kept = [(at, item) for at, item in zip(positions.tolist(), opened, strict=True) if isinstance(item, Opened)]
        lost = {at: x for at, x in zip(positions.tolist(), opened, strict=True) if isinstance(x, Unreadable)}
        unreadable.update(lost)
        pixels = stacked([item for _, item in kept], preprocess)
        geometry = np.array([item.geometry for _, item in kept], np.float64).reshape(-1, 4)
        inputs = model.inputs(preprocess.normalise(pixels))[0]
        return Batch(np.array([at for at, _ in kept], np.int64), inputs, pixels, geometry)

    names = tuple(str(item) if isinstance(item, str | Path) else f"image {at}" for at, item in enumerate(sources))
    return Stream(model, names, read, unreadable=unreadable)
