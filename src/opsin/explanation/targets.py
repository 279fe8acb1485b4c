"""What is explained: one score per image and target, as a function of the logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError, did_you_mean, some

ALL = "all"


@dataclass(frozen=True)
class Targets:
    """Which logits are explained.

    Attributes:
        classes: int64 `(n, t)`: the class of each of t scores per image.
        against: int64 `(n, t)`, or None: the class whose logit is subtracted ("why the first rather than this").
        listed: whether the caller asked for a list of Explanations (one per t), also when t is 1.
    """

    classes: Tensor
    against: Tensor | None = None
    listed: bool = False

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def count(self) -> int:
        """t: scores per image."""
        return self.classes.shape[1]

    @property
    def key(self) -> tuple[bytes, ...]:
        """Equal for Targets that ask for the same scores."""
        columns = (self.classes, *(() if self.against is None else (self.against,)))
        return tuple(column.numpy().tobytes() for column in columns)

    def scores(self, logits: Tensor) -> Tensor:
        """float `(n, t)` of logits `(n, classes)`, part of their graph."""
        scores = logits.gather(1, self.classes.to(logits.device))
        return scores if self.against is None else scores - logits.gather(1, self.against.to(logits.device))

    def rows(self, chosen: slice | Tensor) -> Targets:
        """The targets of some of the images."""
        against = None if self.against is None else self.against[chosen]
        return Targets(self.classes[chosen], against, self.listed)


def resolve_targets(target: Any, logits: Tensor, classes: Sequence[str]) -> Targets:
    """Turn what a caller gave into Targets.

    Args:
        target: None (the predicted class); a class (index or name) for all images; a list of n classes, one per
            image; an `(n, k)` array or "all": k classes per image; a pair of names `("cat", "dog")` or of indices as a
            tuple: why the first rather than the second.
        logits: `(n, classes)`, to find the predicted class.
        classes: class names in the order of the logits.

    Raises:
        OpsinError: a class is unknown, or the number of targets is not the number of images.
    """
    images, width = logits.shape
    if target is None:
        return Targets(logits.argmax(dim=1, keepdim=True).cpu())
    if isinstance(target, str) and target == ALL and ALL not in classes:
        return Targets(torch.arange(width).expand(images, width), listed=True)
    if isinstance(target, str | int | np.integer):
        return Targets(torch.full((images, 1), class_index(target, classes, width)))
    if isinstance(target, tuple) and len(target) == 2:
        first, second = (class_index(item, classes, width) for item in target)
        if first == second:
            raise OpsinError(f"the pair {target!r} holds one class twice; give two classes that differ")
        return Targets(torch.full((images, 1), first), torch.full((images, 1), second))
    return _per_image(target, images, classes, width)


def class_index(item: Any, classes: Sequence[str], width: int) -> int:
    """The index of a class given by name or by index.

    Raises:
        OpsinError: there is no such class.
    """
    if isinstance(item, str):
        if item in classes:
            return list(classes).index(item)
        raise OpsinError(f"there is no class {item!r}{did_you_mean(item, classes)}; the classes are {some(classes, 8)}")
    if isinstance(item, bool) or not isinstance(item, int | np.integer | Tensor):
        raise OpsinError(f"a target of type {type(item).__name__} was given; expected a class name or an index")
    index = int(item)
    if not 0 <= index < width:
        raise OpsinError(f"target {index} is beyond the {width} classes; give 0 to {width - 1}, or a class name")
    return index


def _per_image(target: Any, images: int, classes: Sequence[str], width: int) -> Targets:
    if isinstance(target, Tensor | np.ndarray):
        target = target.tolist()
    if not isinstance(target, Sequence):
        raise OpsinError(
            f"a target of type {type(target).__name__} was given; expected a class, one class per image, an (n, k) "
            'array, "all" or a pair of classes'
        )
    if len(target) != images:
        raise OpsinError(
            f"{len(target)} targets were given for {images} images; give one per image, or one class for all"
        )
    nested = [isinstance(row, Sequence) and not isinstance(row, str) for row in target]
    if any(nested):
        if not all(nested) or len({len(row) for row in target}) != 1 or not len(target[0]):
            raise OpsinError("the targets are rows of different lengths; give the same number of classes per image")
        rows = [[class_index(item, classes, width) for item in row] for row in target]
        return Targets(torch.tensor(rows), listed=True)
    return Targets(torch.tensor([[class_index(item, classes, width)] for item in target]))
