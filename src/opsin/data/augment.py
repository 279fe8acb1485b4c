"""Augmentation: random changes of training images as batches, with draws per image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from opsin.data.augmentations.colour import ColourJitter, Cutout
from opsin.data.augmentations.geometry import Geometry
from opsin.data.augmentations.own import Own
from opsin.data.augmentations.randaugment import RandAugment
from opsin.errors import OpsinError

GEOMETRY = tuple(field.name for field in fields(Geometry))
SINGLE = {"randaugment": RandAugment, "colour_jitter": ColourJitter, "cutout": Cutout}
"""Settings that are a stage of their own, by name."""

Stage = Callable[[Tensor, torch.Generator], Tensor]


class Augmentation:
    """Stages that a batch goes through in turn, each with the random numbers of the generator it is given."""

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = stages

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 `(n, h, w, c)` on the CPU to a new uint8 `(n, h, w, c)`; equal generators give equal pixels.

        Raises:
            OpsinError: the pixels are of another type or shape, or a setting does not fit their size.
        """
        if pixels.ndim != 4 or pixels.dtype != torch.uint8:
            raise OpsinError(
                f"pixels of shape {tuple(pixels.shape)} and type {pixels.dtype} were given; expected uint8 (n, h, w, c)"
            )
        for stage in self.stages:
            pixels = stage(pixels, generator)
        return pixels


def build_augmentation(settings: Mapping[str, Any], transform: Callable[..., Any] | None = None) -> Augmentation | None:
    """The augmentation that a recipe's settings ask for; None when they ask for nothing.

    Order: where pixels lie (`flip`, `vertical_flip`, `crop`, `resized_crop`, `shear`, `rotate`, `scale`, `translate`,
    in this order but as one map per image), `randaugment`, `colour_jitter`, `transform`, `cutout`.

    Args:
        settings: by name; 0, None and False ask for nothing.
            flip, vertical_flip: mirror every other image.
            crop: pixels to pad by before a crop of the old size is taken.
            resized_crop: smallest share of the area that a crop keeps before it is scaled up to the old size.
            rotate, shear: largest angle in degrees. Shearing is along x.
            translate: largest shift as a share of the side.
            scale: largest change of scale.
            randaugment: magnitude, 1 to 30.
            colour_jitter: strength, 0..1.
            cutout: side of a blanked square in pixels.
        transform: a person's own; see `opsin.data.augmentations.own.Own` for its forms.

    Raises:
        OpsinError: a setting is unknown, or the transform is not callable.
    """
    unknown = sorted(set(settings) - {*GEOMETRY, *SINGLE})
    if unknown:
        raise OpsinError(f"unknown augmentation {unknown[0]!r}; expected one of {', '.join((*GEOMETRY, *SINGLE))}")
    asked = {name: value for name, value in settings.items() if value not in (None, 0, False)}
    stages: list[Stage] = []
    moves = {name: value for name, value in asked.items() if name in GEOMETRY}
    if moves:
        stages.append(Geometry(**moves))
    for name, build in SINGLE.items():
        if name == "cutout" and transform is not None:
            stages.append(Own(transform))
        if name in asked:
            stages.append(build(asked[name]))
    return Augmentation(stages) if stages else None
