"""What the pixels are: brightness, contrast and saturation, and squares that are blanked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from opsin.data.augmentations.draws import uniform
from opsin.errors import OpsinError

LUMA = (0.299, 0.587, 0.114)
"""Grey of red, green and blue: ITU-R BT.601."""


@dataclass(frozen=True)
class ColourJitter:
    """Brightness, then contrast, then saturation, each times a factor of 1 - strength .. 1 + strength per image.

    As in torchvision, contrast moves away from the mean grey of the image and saturation away from the grey of the
    pixel. The three are one linear map, so that rounding and cutting to 0..255 happen once, at the end. Alpha stays as
    it is, and grey has no saturation.
    """

    strength: float

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 `(n, h, w, c)` to uint8 `(n, h, w, c)`."""
        factors = [uniform(1 - self.strength, 1 + self.strength, len(pixels), generator) for _ in range(3)]
        return jitter(pixels, *factors)


def jitter(pixels: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Change uint8 `(n, h, w, c)` by factors `(n,)`; see `ColourJitter`."""
    colours = 3 if pixels.shape[3] >= 3 else 1
    bright, contrast, saturation = (f[:, None, None, None] for f in (brightness, contrast, saturation))
    values = pixels[..., :colours] * bright
    values = torch.lerp(_grey(values).mean(dim=(1, 2), keepdim=True), values, contrast)
    if colours == 3:
        values = torch.lerp(_grey(values), values, saturation)
    out = pixels.clone()
    out[..., :colours] = values.round_().clamp_(0, 255)
    return out


@dataclass(frozen=True)
class Cutout:
    """Blank a square of `side` pixels per image, with its middle anywhere in the picture (DeVries, Taylor, "Improved
    regularization of convolutional neural networks with cutout", 2017).

    The paper writes 0 into normalised images, which is the mean of the data. Here pixels are not normalised yet, so
    that the image's own mean is written, per channel. As in the paper, squares reach beyond the edge.
    """

    side: int

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 `(n, h, w, c)` to uint8 `(n, h, w, c)`."""
        count, height, width, channels = pixels.shape
        if self.side > max(height, width):
            raise OpsinError(
                f"cutout={self.side} blanks squares larger than the images of {height} x {width} pixels; "
                f"give at most {max(height, width)}"
            )
        rows = self._span(height, count, generator)[:, :, None]
        columns = self._span(width, count, generator)[:, None, :]
        mean = pixels.view(count, height * width, channels).float().mean(dim=1).round_().byte()
        return torch.where((rows & columns)[..., None], mean[:, None, None, :], pixels)

    def _span(self, length: int, count: int, generator: torch.Generator) -> Tensor:
        """bool `(n, length)`: which rows (or columns) the square covers."""
        first = torch.randint(length, (count, 1), generator=generator) - self.side // 2
        places = torch.arange(length)
        return (places >= first) & (places < first + self.side)


def _grey(values: Tensor) -> Tensor:
    """float `(n, h, w, 1)` of grey or RGB values."""
    return values if values.shape[3] == 1 else (values @ torch.tensor(LUMA))[..., None]
