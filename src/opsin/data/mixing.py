"""Mixed images with mixed targets, with draws per image.

timm's `Mixup` draws from NumPy's global random numbers, which no resume restores; hence these lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from opsin.data.augmentations.draws import coins, seed


@dataclass(frozen=True)
class Mixing:
    """Every image of a batch gets another one of the batch as its partner, and keeps the share lambda of itself.

    - mixup: both are blended, lambda ~ Beta(mixup, mixup) (Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical
      risk minimization", 2018);
    - cutmix: a box of the partner, of area 1 - lambda before it is cut at the picture's edge, replaces the image there,
      lambda ~ Beta(cutmix, cutmix); the targets follow the area that was really replaced (Yun et al., "CutMix:
      regularization strategy to train strong classifiers with localizable features", 2019).

    With both, each image draws one of them with equal probability.
    """

    mixup: float
    cutmix: float
    classes: int
    label_smoothing: float

    def __call__(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Float inputs `(n, c, h, w)` and labels int64 `(n,)` to mixed inputs and targets float32 `(n, classes)`."""
        count, _, height, width = inputs.shape
        partners = torch.randperm(count, generator=generator)
        share, mask = self._keep(count, (height, width), generator)
        partners, share, mask = (value.to(inputs.device) for value in (partners, share, mask))
        mixed = torch.lerp(inputs[partners], inputs, mask[:, None].to(inputs.dtype))
        soft = torch.lerp(self._soft(targets[partners]), self._soft(targets), share[:, None])
        return mixed, soft

    def _keep(self, count: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """How much of each image stays: float32 shares `(n,)`, and where: `(n, h, w)` or `(n, 1, 1)`."""
        draw = np.random.default_rng(seed(generator))
        blended = beta(draw, self.mixup, count) if self.mixup else None
        if not self.cutmix:
            assert blended is not None
            return blended, blended[:, None, None]
        mask = ~boxes(beta(draw, self.cutmix, count), torch.rand(2, count, generator=generator), size)
        mask, share = mask.float(), mask.float().mean(dim=(1, 2))
        if blended is None:
            return share, mask
        blends = coins(count, generator)
        mask = torch.where(blends[:, None, None], blended[:, None, None], mask)
        return torch.where(blends, blended, share), mask

    def _soft(self, targets: Tensor) -> Tensor:
        return F.one_hot(targets, self.classes) * (1 - self.label_smoothing) + self.label_smoothing / self.classes


def beta(draw: np.random.Generator, alpha: float, count: int) -> Tensor:
    """float32 `(count,)` of Beta(alpha, alpha)."""
    return torch.from_numpy(draw.beta(alpha, alpha, count).astype(np.float32))


def boxes(shares: Tensor, middles: Tensor, size: tuple[int, int]) -> Tensor:
    """bool `(n, h, w)`: boxes with sides sqrt(1 - share) of the picture's, cut at its edge.

    Args:
        shares: float `(n,)`, what is to stay outside the box.
        middles: float `(2, n)` in 0..1, where the boxes' middles lie, by row and column.
        size: height and width in pixels.
    """
    spans = []
    for length, middle in zip(size, middles, strict=True):
        side = (length * (1 - shares).sqrt()).long()
        first = (middle * length).long() - side // 2
        places = torch.arange(length)
        spans.append((places >= first[:, None]) & (places < (first + side)[:, None]))
    return spans[0][:, :, None] & spans[1][:, None, :]


def build_mixing(mixup: float, cutmix: float, classes: int, label_smoothing: float) -> Mixing | None:
    """The mixing that a recipe asks for; None when both `mixup` and `cutmix` are 0.

    Args:
        mixup, cutmix: alpha of the Beta distributions, 0 or more.
        classes: how many there are.
        label_smoothing: 0..1, put into the targets: the loss takes soft targets as they are.
    """
    return Mixing(mixup, cutmix, classes, label_smoothing) if mixup or cutmix else None
