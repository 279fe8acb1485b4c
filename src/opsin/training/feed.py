"""What a step is fed: augmented pixels, or features that a frozen trunk gave once. And the validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.files import write_tensors
from opsin.models.classifier import evaluating
from opsin.training.losses import class_weights

VALIDATION_BATCH = 256
AHEAD_BYTES = 2**22  # of inputs that are prepared at a time
AHEAD_STEPS = 16


class Feed(Protocol):
    """Gives the batches of one split. Positions count within the split."""

    labels: np.ndarray

    @property
    def count(self) -> int:
        """How many images there are."""
        ...

    def batch(self, chosen: np.ndarray, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs float32 `(n, ...)` and targets, int64 `(n,)` or float32 `(n, classes)`, on the device."""
        ...

    def class_weights(self, kind: str) -> torch.Tensor | None:
        """float32 `(classes,)` weights of the loss, or None for equal ones."""
        ...

    def keep(self, path: Path, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Write a batch down, as it can be looked at."""
        ...


class Batch(NamedTuple):
    """Positions within the split int64 `(n,)`, with their inputs and targets as `Feed.batch` gives them."""

    chosen: np.ndarray
    inputs: torch.Tensor
    targets: torch.Tensor


def ahead(
    feed: Feed, steps: Iterable[np.ndarray], size: int, generators: Iterable[torch.Generator]
) -> Iterator[list[Batch]]:
    """The batches of each step, prepared for several small steps in a row.

    In between, a network's own work drives the code for it out of the processor's caches: alone, a batch of small
    images takes three times as long to prepare. Nothing depends on how many are prepared together, because every step
    has random numbers of its own.

    Args:
        feed: gives the batches.
        steps: positions of the images of each step.
        size: images per batch; a step has several where gradients are accumulated.
        generators: the random numbers of each step.
    """
    waiting: list[list[Batch]] = []
    held = 0
    for positions, generator in zip(steps, generators, strict=False):
        parts = [positions[start : start + size] for start in range(0, len(positions), size)]
        waiting.append([Batch(part, *feed.batch(part, generator)) for part in parts])
        held += sum(batch.inputs.nbytes for batch in waiting[-1])
        if held >= AHEAD_BYTES or len(waiting) == AHEAD_STEPS:
            yield from waiting
            waiting, held = [], 0
    yield from waiting


class _Labelled:
    def __init__(self, labels: np.ndarray, classes: int, device: torch.device) -> None:
        self.labels = labels
        self.device = device
        self._classes = classes
        self._targets = torch.from_numpy(labels.astype(np.int64)).to(device)

    @property
    def count(self) -> int:
        return len(self.labels)

    def class_weights(self, kind: str) -> torch.Tensor | None:
        counts = np.bincount(self.labels, minlength=self._classes)
        return None if kind == "none" else class_weights(counts, kind)


class PixelFeed(_Labelled):
    """Decoded pixels, uint8 `(images, h, w, c)` (a memory map or an array), augmented and normalised as batches."""

    def __init__(
        self,
        pixels: np.ndarray,
        indices: np.ndarray,
        labels: np.ndarray,
        classes: int,
        preprocess: Preprocess,
        *,
        augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None,
        mix: Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]] | None,
        device: torch.device,
        channels_last: bool,
    ) -> None:
        super().__init__(labels, classes, device)
        self._pixels = pixels
        self._indices = indices
        self._preprocess = preprocess
        self._augment = augment
        self._mix = mix
        self._format = torch.channels_last if channels_last else torch.contiguous_format

    def batch(self, chosen: np.ndarray, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs float32 `(n, c, h, w)`; see `Feed`."""
        pixels = torch.from_numpy(self._pixels[self._indices[chosen]])
        if self._augment is not None:
            pixels = self._augment(pixels, generator)
        inputs = self._preprocess.normalise(pixels.to(self.device)).contiguous(memory_format=self._format)
        targets = self._targets.index_select(0, torch.from_numpy(chosen).to(self.device))
        return self._mix(inputs, targets, generator) if self._mix is not None else (inputs, targets)

    def keep(self, path: Path, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Write `images` uint8 `(n, h, w, c)` and `targets` float32 `(n, classes)`."""
        soft = targets if targets.ndim == 2 else torch.nn.functional.one_hot(targets, self._classes)
        arrays = {"images": self._preprocess.denormalise(inputs), "targets": soft.float().cpu().numpy()}
        write_tensors(path, arrays)


class FeatureFeed(_Labelled):
    """Features float32 `(images, d)` that a frozen trunk gave for the unchanged images."""

    def __init__(self, features: torch.Tensor, labels: np.ndarray, classes: int, device: torch.device) -> None:
        super().__init__(labels, classes, device)
        self._features = features

    def batch(self, chosen: np.ndarray, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002
        """Inputs float32 `(n, d)`; see `Feed`. Nothing is drawn."""
        rows = torch.from_numpy(chosen)
        targets = self._targets.index_select(0, rows.to(self.device))
        return self._features.index_select(0, rows).to(self.device), targets

    def keep(self, path: Path, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Features are no pictures: nothing is written."""


class Validation:
    """The validation images of a phase, as pixels (features are made of them where the trunk is frozen)."""

    def __init__(
        self,
        pixels: np.ndarray,
        indices: np.ndarray,
        labels: np.ndarray,
        preprocess: Preprocess,
        device: torch.device,
        features: torch.Tensor | None = None,
    ) -> None:
        self.labels = labels
        self._pixels = pixels
        self._indices = indices
        self._preprocess = preprocess
        self._device = device
        self._features = features

    def logits(self, module: nn.Module) -> np.ndarray:
        """float32 `(n, classes)` of every validation image, in evaluation mode."""
        with evaluating(module), torch.inference_mode():
            if self._features is not None:
                return module(self._features.to(self._device)).float().cpu().numpy()
            return np.concatenate([module(batch).float().cpu().numpy() for batch in self._batches(len(self.labels))])

    def embeddings(self, module: nn.Module, count: int) -> tuple[dict[str, np.ndarray], str] | None:
        """What the last layer gets for up to `count` evenly spaced images, float16, with labels and dataset indices,
        and that layer's name. None for a network that does not end in a linear layer."""
        kept = spaced(len(self.labels), count)
        layer = last_linear(module)
        if layer is None:
            return None
        name, part = layer
        features = self._last_inputs(module, part, kept) if self._features is None else self._features[kept].numpy()
        arrays = {
            "features": features.astype(np.float16),
            "labels": self.labels[kept].astype(np.int64),
            "indices": self._indices[kept].astype(np.int64),
        }
        return arrays, name

    @property
    def fixed_features(self) -> bool:
        """Whether the features that the last layer gets never change, because the trunk is frozen."""
        return self._features is not None

    def _last_inputs(self, module: nn.Module, part: nn.Linear, kept: np.ndarray) -> np.ndarray:
        found: list[np.ndarray] = []

        def keep(_module: nn.Module, inputs: Any) -> None:
            found.append(inputs[0].detach().float().flatten(1).cpu().numpy())

        handle = part.register_forward_pre_hook(keep)
        try:
            with evaluating(module), torch.inference_mode():
                for batch in self._batches(len(kept), kept):
                    module(batch)
        finally:
            handle.remove()
        return np.concatenate(found)

    def _batches(self, count: int, rows: np.ndarray | None = None) -> Iterator[torch.Tensor]:
        for start in range(0, count, VALIDATION_BATCH):
            part = np.arange(start, min(start + VALIDATION_BATCH, count))
            part = part if rows is None else rows[part]
            yield self._preprocess.normalise(torch.from_numpy(self._pixels[self._indices[part]]).to(self._device))


def spaced(total: int, count: int) -> np.ndarray:
    """int64: up to `count` evenly spaced positions out of `total`."""
    return (
        np.unique(np.linspace(0, total - 1, min(total, count)).round().astype(np.int64)) if total else np.zeros(0, int)
    )


def last_linear(module: nn.Module) -> tuple[str, nn.Linear] | None:
    """The last linear layer in the order of `named_modules()`: the classifier of every usual network."""
    linear = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    return linear[-1] if linear else None


def trunk_features(
    module: nn.Module, head: nn.Linear, preprocess: Preprocess, pixels: np.ndarray, indices: np.ndarray,
    device: torch.device, advance: Callable[[int], None],
) -> torch.Tensor:  # fmt: skip
    """float32 `(n, d)`: what `head` gets for each image, computed once without augmentation.

    `advance` is called with the number of images done so far. The rest of the network runs too (its cost is nil), so
    that any module works, whatever it calls its parts.
    """
    found: list[torch.Tensor] = []

    def keep(_module: nn.Module, inputs: Any) -> None:
        found.append(inputs[0].detach().float().cpu())

    handle = head.register_forward_pre_hook(keep)
    try:
        with evaluating(module), torch.inference_mode():
            for start in range(0, len(indices), 32):
                batch = torch.from_numpy(pixels[indices[start : start + 32]])
                module(preprocess.normalise(batch.to(device)))
                advance(min(start + 32, len(indices)))
    finally:
        handle.remove()
    return torch.cat(found).clone() if found else torch.zeros(0, head.in_features)
