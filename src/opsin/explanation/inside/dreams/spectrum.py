"""Pictures as Fourier coefficients, so that one step of an optimiser changes all places and scales alike."""

from __future__ import annotations

import torch
from torch import Tensor


class Spectrum:
    """Real planes `(n, c, height, width)` as functions of coefficients `(n, c, height, width // 2 + 1, 2)`.

    The coefficient of a wave of f cycles per pixel is multiplied by `1 / max(f, f_lowest) ** decay` (natural pictures
    have amplitudes of about 1 / f: Field 1987; as a parametrisation: Olah, Mordvintsev and Schubert 2017, Feature
    Visualization). The scale is such that independent coefficients of mean 0 and variance 1 give planes of mean 0 and
    variance 1.

    Args:
        size: height and width.
        decay: the power of the frequency.
    """

    def __init__(self, size: tuple[int, int], decay: float) -> None:
        self.size = size
        height, width = size
        down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
        lowest = 1 / max(height, width)
        scale = (down**2 + across**2).sqrt().clamp(min=lowest) ** -decay
        # a wave and its mirror image share one coefficient, but in the columns that are their own mirror image only
        # the real part of the inverse transform along the rows remains: there half the power, once instead of twice
        power = torch.full((width // 2 + 1,), 4.0)
        power[0] = 1.0
        if width % 2 == 0:
            power[-1] = 1.0
        self.scale = scale / ((power * scale**2).sum() / (height * width)).sqrt()

    def coefficients(self, channels: int, draws: torch.Generator) -> Tensor:
        """Standard normal `(1, c, height, width // 2 + 1, 2)`."""
        return torch.randn((1, channels, *self.scale.shape, 2), generator=draws)

    def planes(self, coefficients: Tensor) -> Tensor:
        """`(n, c, height, width)` of coefficients, part of their graph."""
        waves = torch.view_as_complex(coefficients) * self.scale.to(coefficients.device)
        return torch.fft.irfft2(waves, s=self.size, norm="ortho")
