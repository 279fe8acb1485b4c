"""A Classifier's answers on images, in batches, so that memory stays bounded whatever the number of images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor

from opsin.errors import CheckFailed, OpsinError
from opsin.models.build import build_model
from opsin.models.classifier import Classifier
from opsin.models.load import PYTORCH, load_model
from opsin.models.sources.names import is_code

if TYPE_CHECKING:
    from opsin.data.dataset import Dataset

BATCH_VALUES = 2**23
BATCH = 256
DISTRIBUTION = 1e-4  # by how much the sum of probabilities may differ from 1

Progress = Callable[[str, int, int], None]
"""Told what is done, how many images are done, and how many there are."""


def opened(model: Classifier | str | Path, weights: str | Path | None = None) -> Classifier:
    """The Classifier itself, or what `load_model` opens; a network's name stands for its pretrained weights, because
    fresh ones would answer with chance.

    Raises:
        OpsinError: nothing can be opened there, or the network has no pretrained weights.
    """
    if isinstance(model, Classifier):
        return model
    path = Path(model)
    named = not path.exists() and path.suffix not in (".safetensors", ".onnx", ".py", *PYTORCH)
    if named and weights is None and not is_code(str(model)):
        try:
            return build_model(str(model), pretrained=True)
        except OpsinError as error:
            if not str(error).startswith("there is no network"):
                raise
            raise OpsinError(f"there is no run, file or network {model}; give the path of a run folder") from error
    return load_model(model, weights=weights)


def log_probabilities(model: Classifier, inputs: Tensor) -> np.ndarray:
    """float32 `(n, classes)` of preprocessed inputs `(n, c, h, w)`; the softmax is taken in float64.

    Raises:
        CheckFailed: an answer is not a number.
    """
    logits = model.logits(inputs, batch_size=batch_size(inputs[0].numel()) if len(inputs) else 1)
    if not bool(torch.isfinite(logits).all()):
        wrong = int((~torch.isfinite(logits)).any(dim=1).sum())
        raise CheckFailed(
            f"{model.label} answers with values that are not finite for {wrong} of {len(logits)} images; its training "
            "diverged or its weights are damaged: use an earlier file"
        )
    return log_softmax(as_logits(logits.double()).numpy(), axis=1).astype(np.float32)


def as_logits(scores: Tensor) -> Tensor:
    """Scores `(n, classes)` as logits: where every row is a probability distribution already, as many ONNX files and
    some networks give it, its logarithm; a softmax of probabilities would be something else."""
    sums = scores.sum(dim=1)
    already = bool((scores >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=DISTRIBUTION)
    return scores.clamp(min=torch.finfo(scores.dtype).tiny).log() if already else scores


def batch_size(values: int) -> int:
    """How many pictures of that many values go through the network at a time: 256 small ones, fewer large ones."""
    return int(np.clip(BATCH_VALUES // max(values, 1), 1, BATCH))


def answer(
    model: Classifier, data: Dataset, indices: np.ndarray, progress: Progress | None = None, what: str = "answering"
) -> np.ndarray:
    """Log probabilities float32 `(len(indices), classes)` of images of a Dataset.

    `progress` is told what is done (decoding, and `what`), how many images are done, and how many there are.

    Raises:
        OpsinError: the model has no Preprocess, so that it cannot read pictures.
        CheckFailed: an answer is not a number.
    """
    preprocess = model.preprocess
    if preprocess is None:
        raise OpsinError(
            f"{model.label} has no Preprocess and cannot read pictures; give Classifier(module, classes=..., "
            "preprocess=...)"
        )
    pixels = data.pixels(preprocess, None if progress is None else partial(progress, "decoding"))
    step = batch_size(preprocess.height * preprocess.width * preprocess.channels)
    parts = []
    for start in range(0, len(indices), step):
        parts.append(log_probabilities(model, preprocess.normalise(pixels[indices[start : start + step]])))
        if progress is not None:
            progress(what, min(start + step, len(indices)), len(indices))
    return np.concatenate(parts) if parts else np.zeros((0, len(model.classes or ())), np.float32)


def known_classes(model: Classifier) -> tuple[str, ...]:
    """The class names of the model; a wrapped network without any tells their number by running once."""
    if model.classes is None and model.size is not None:
        model.logits(torch.zeros(1, model.channels or 3, *model.size))
    return model.classes or ()


def class_positions(model: Classifier, classes: tuple[str, ...]) -> np.ndarray:
    """int64 `(len(classes),)`: which output of the model each of the data's classes is, matched by name.

    Raises:
        OpsinError: the model does not know one of them.
    """
    known = {name: index for index, name in enumerate(known_classes(model))}
    strange = [name for name in classes if name not in known]
    if strange:
        raise OpsinError(
            f"{model.label} does not know the class {strange[0]!r}"
            f"{f' and {len(strange) - 1} more' if len(strange) > 1 else ''} of the data; expected only classes among "
            f"its {len(known)}: {', '.join(list(known)[:5])}{', ...' if len(known) > 5 else ''}"
        )
    return np.array([known[name] for name in classes], np.int64)
