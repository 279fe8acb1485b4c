"""RandAugment with draws per image, computed in groups of images that drew the same change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

CHANGES = 2
"""Changes per image, one after the other: the paper's N and torchvision's default."""

LARGEST = 30
"""The largest magnitude."""


class Change(NamedTuple):
    """One of the changes to draw from.

    `apply` takes images uint8 `(n, c, h, w)` and a strength; `largest` is the strength at magnitude 30, of a random
    sign where `signed`. Changes of place touch alpha too, changes of colour do not.
    """

    apply: Callable[[Tensor, float], Tensor]
    largest: float = 0.0
    signed: bool = False
    place: bool = False


def _move(images: Tensor, across: float = 0.0, down: float = 0.0, x: float = 0.0, y: float = 0.0) -> Tensor:
    """Shift by shares of the sides, in whole pixels, and shear about the corner by slopes."""
    pixels = [float(int(across * images.shape[3])), float(int(down * images.shape[2]))]
    slants = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return TF.affine(images, 0.0, pixels, 1.0, slants, interpolation=InterpolationMode.BILINEAR, center=[0.0, 0.0])


CHOICES: dict[str, Change] = {
    "identity": Change(lambda images, _: images),
    "shear_x": Change(lambda images, s: _move(images, x=s), 0.3, signed=True, place=True),
    "shear_y": Change(lambda images, s: _move(images, y=s), 0.3, signed=True, place=True),
    "translate_x": Change(lambda images, s: _move(images, across=s), 150 / 331, signed=True, place=True),
    "translate_y": Change(lambda images, s: _move(images, down=s), 150 / 331, signed=True, place=True),
    "rotate": Change(
        lambda images, s: TF.rotate(images, s, interpolation=InterpolationMode.BILINEAR), 30.0, signed=True, place=True
    ),
    "brightness": Change(lambda images, s: TF.adjust_brightness(images, 1 + s), 0.9, signed=True),
    "colour": Change(lambda images, s: TF.adjust_saturation(images, 1 + s), 0.9, signed=True),
    "contrast": Change(lambda images, s: TF.adjust_contrast(images, 1 + s), 0.9, signed=True),
    "sharpness": Change(lambda images, s: TF.adjust_sharpness(images, 1 + s), 0.9, signed=True),
    "posterize": Change(lambda images, s: TF.posterize(images, 8 - round(s)), 4.0),
    "solarize": Change(lambda images, s: TF.solarize(images, 255 * (1 - s)), 1.0),
    "autocontrast": Change(lambda images, _: TF.autocontrast(images)),
    "equalize": Change(lambda images, _: TF.equalize(images)),
}
"""The changes and their strengths as torchvision's `v2.RandAugment` has them, resampled bilinearly."""


@dataclass(frozen=True)
class RandAugment:
    """Two random changes per image, each at `magnitude` (0 to 30) (Cubuk, Zoph, Shlens, Le, "RandAugment: practical
    automated data augmentation with a reduced search space", 2020)."""

    magnitude: int

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 `(n, h, w, c)` to uint8 `(n, h, w, c)`."""
        images = pixels.permute(0, 3, 1, 2).contiguous()
        names = list(CHOICES)
        for _ in range(CHANGES):
            drawn = torch.randint(2 * len(names), (len(images),), generator=generator)
            out = images.clone()
            for value in drawn.unique().tolist():
                rows = torch.nonzero(drawn == value)[:, 0]
                out[rows] = changed(images[rows], names[value // 2], self.magnitude, negative=value % 2 == 1)
            images = out
        return images.permute(0, 2, 3, 1).contiguous()


def changed(images: Tensor, name: str, magnitude: int, negative: bool) -> Tensor:
    """One change of uint8 `(n, c, h, w)`; `negative` turns the sign of changes that have one."""
    change = CHOICES[name]
    strength = change.largest * magnitude / LARGEST
    strength = -strength if change.signed and negative else strength
    colours = images.shape[1] if change.place else 3 if images.shape[1] >= 3 else 1
    return torch.cat([change.apply(images[:, :colours], strength), images[:, colours:]], dim=1)
