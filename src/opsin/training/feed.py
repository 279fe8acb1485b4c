"""What a step is fed: augmented pixels, or features that a frozen trunk gave once. And the validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.files import write_tensors
from opsin.models.classifier import evaluating
from opsin.training.losses import class_weights

VALIDATION_BATCH = 256


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
        targets = self._targets[torch.from_numpy(chosen).to(self.device)]
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
        return self._features[rows].to(self.device), self._targets[rows.to(self.device)]

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
        found: list[np.ndarray] = []
        layer = last_linear(module)
        if layer is None:
            return None
        name, part = layer

        def keep(_module: nn.Module, inputs: Any) -> None:
            found.append(inputs[0].detach().float().flatten(1).cpu().numpy().astype(np.float16))

        handle = part.register_forward_pre_hook(keep)
        try:
            with evaluating(module), torch.inference_mode():
                for batch in self._batches(len(kept), kept):
                    module(batch)
        finally:
            handle.remove()
        arrays = {
            "features": np.concatenate(found),
            "labels": self.labels[kept].astype(np.int64),
            "indices": self._indices[kept].astype(np.int64),
        }
        return arrays, name

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
