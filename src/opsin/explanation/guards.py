"""What a person is warned of: input, network or maps that are not what they usually are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from opsin.models.classifier import Classifier
from opsin.models.weights import bare

DOUBLY_NORMALISED_BELOW = 0.02  # spread of the whole input, where images usually have about 1
SATURATED = 0.5  # share of places at a map's largest magnitude, above which it tells too few places apart
ALIKE = 1e-6  # of the largest magnitude, within which values count as equal to it


class MapWarning(UserWarning):
    """A map that says little."""


class BlankMapWarning(MapWarning):
    """A map is zero everywhere: the method found nothing that speaks for the class."""


class SaturatedMapWarning(MapWarning):
    """Most places of a map have its largest magnitude: it hardly tells them apart."""


class InputWarning(UserWarning):
    """The input is not what networks usually get."""


class ModeWarning(UserWarning):
    """The network answers differently now than in use, or differently for an image alone than among others."""


def warn_of_input(inputs: Tensor, names: Sequence[str]) -> None:
    """Warn of inputs that were probably scaled twice."""
    spread = float(inputs.float().std()) if inputs.numel() > 1 else 1.0
    if 0 < spread < DOUBLY_NORMALISED_BELOW and inputs.shape[0] * inputs.shape[-1] > 1:
        warnings.warn(
            f"the input ({names[0]} ...) has a spread of {spread:.2g} where networks usually get about 1: was it "
            "divided by 255, or normalised, twice?",
            InputWarning,
            stacklevel=3,
        )


def warn_of_mode(model: Classifier) -> None:
    """Warn of batch normalisation in training mode, and of one that always takes the statistics of the batch."""
    parts = [part for part in bare(model.module).modules() if isinstance(part, _BatchNorm)]
    fixed = [part for part in parts if part.running_mean is not None]
    training = sum(part.training for part in fixed)
    if training:
        warnings.warn(
            f"{training} of {len(parts)} batch normalisations of {model.label} are in training mode, in which an "
            "image's answer depends on the others; it is explained in evaluation mode: call eval() on the network",
            ModeWarning,
            stacklevel=3,
        )
    if len(fixed) < len(parts):
        warnings.warn(
            f"{len(parts) - len(fixed)} of {len(parts)} batch normalisations of {model.label} have no running "
            "statistics, so that a map depends on the other images; explain with batch_size=1",
            ModeWarning,
            stacklevel=3,
        )


def warn_of_maps(maps: np.ndarray, names: Sequence[str], method: str) -> tuple[str, ...]:
    """Warn of blank and of saturated maps float32 `(n, h, w)`; returns the same as notes for the record."""
    sizes = np.abs(maps)
    largest = sizes.max(axis=(1, 2), keepdims=True)
    blank = largest[:, 0, 0] == 0
    saturated = ~blank & ((sizes >= (1 - ALIKE) * largest).mean(axis=(1, 2)) > SATURATED)
    notes = []
    for kind, found, what in (
        (BlankMapWarning, blank, "blank (zero everywhere)"),
        (SaturatedMapWarning, saturated, "saturated (most places have its largest value)"),
    ):
        chosen = np.flatnonzero(found)
        if len(chosen):
            some = ", ".join(names[int(i)] for i in chosen[:3])
            notes.append(f"the {method} map is {what} for {len(chosen)} of {len(maps)} images: {some}")
            warnings.warn(notes[-1], kind, stacklevel=4)
    return tuple(notes)
