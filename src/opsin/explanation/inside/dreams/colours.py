"""Planes whose values do not depend on each other become pixels whose colours vary together as they do in pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PHOTOS = ("astronaut", "cat", "coffee", "rocket", "stereo_motorcycle")
# Covariance of red, green and blue of these photographs of scikit-image (each counts alike), on the scale of `_logit`.
PHOTO_COVARIANCE = ((2.278, 1.655, 1.232), (1.655, 1.784, 1.683), (1.232, 1.683, 1.950))
PHOTO_CONTRAST = 0.2
"""Root mean square of a pixel's distance from the mean colour; that of these photographs is between 0.13 and 0.31."""

_NEAREST = 0.02  # to black and white, of pixels 0..1: the logit of 0 is infinite


@dataclass(frozen=True)
class Colours:
    """How planes become pixels: `sigmoid(matrix @ plane + logit(mean))`, drawn towards the mean colour until the
    contrast is not above `contrast`.

    Attributes:
        mean: float32 `(c,)`, 0..1: the colour of a plane of zeros.
        covariance: float32 `(c, c)`: of the logits of the colours of planes with variance 1.
        contrast: largest root mean square of a pixel's distance from the mean colour. That bound (of the norm, as in
            Erhan et al. 2009, Visualizing higher-layer features of a deep network) keeps what does not excite at the
            mean colour.
        source: where these come from.
    """

    mean: Tensor
    covariance: Tensor
    contrast: float
    source: str

    @property
    def matrix(self) -> Tensor:
        """`(c, c)`, a square root of the covariance: its columns are the principal axes of the colours, each as long as
        its standard deviation. So an optimiser's step changes brightness and hue apart from each other."""
        values, vectors = torch.linalg.eigh(self.covariance.double())
        return (vectors * values.clamp(min=0).sqrt()).float()

    def pictures(self, planes: Tensor) -> Tensor:
        """`(n, c, h, w)` in 0..1 of planes, part of their graph."""
        matrix, mean = self.matrix.to(planes.device), self.mean.to(planes.device).view(1, -1, 1, 1)
        mixed = torch.einsum("ij,njhw->nihw", matrix, planes)
        away = torch.sigmoid(mixed + torch.logit(mean)) - mean
        reached = away.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return mean + away * (self.contrast / reached.clamp(min=self.contrast))


def usual_colours(channels: int, mean: tuple[float, ...] | None, contrast: float | None) -> Colours:
    """Colours of photographs around a mean colour (mid-grey where none is known)."""
    covariance = np.array(PHOTO_COVARIANCE)
    if channels != 3:
        # one channel is the brightness of the photographs; what several others have in common is not known
        covariance = np.eye(channels) * covariance.mean()
    centre = torch.tensor(mean or (0.5,) * channels, dtype=torch.float32)
    return Colours(
        centre.clamp(_NEAREST, 1 - _NEAREST),
        torch.from_numpy(covariance).float(),
        PHOTO_CONTRAST if contrast is None else contrast,
        f"photographs of scikit-image ({', '.join(PHOTOS)})",
    )


def colours_of(pixels: np.ndarray, contrast: float | None, source: str) -> Colours:
    """The colours of images, float `(n, h, w, c)` in 0..1: their mean, covariance and mean contrast."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    mean = flat.mean(axis=0)
    covariance = np.atleast_2d(np.cov(_logit(flat), rowvar=False))
    # pictures in black and white would leave no colour at all
    covariance = covariance + np.eye(len(covariance)) * max(1e-3 * float(np.trace(covariance)), 1e-3)
    typical = float(np.sqrt(np.square(pixels - mean).mean(axis=(1, 2, 3))).mean())
    return Colours(
        torch.from_numpy(mean).float().clamp(_NEAREST, 1 - _NEAREST),
        torch.from_numpy(covariance).float(),
        max(typical, 0.05) if contrast is None else contrast,
        source,
    )


def _logit(pixels: np.ndarray) -> np.ndarray:
    clipped = np.clip(pixels, _NEAREST, 1 - _NEAREST)
    return np.log(clipped / (1 - clipped))
