"""ROAD, remove and debias: places are replaced by what their neighbours tell about them (Rong et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from opsin.errors import CheckFailed
from opsin.evidence.faithfulness import step_counts
from opsin.evidence.subject import Subject

DIRECT, DIAGONAL = 1 / 6, 1 / 12  # weights of the 4 nearest neighbours and of the 4 behind them
NOISE = 0.01
LEVELS = 10  # shares removed: 10, 20 ... 90 %
TOLERANCE = 1e-4
MOST_ITERATIONS = 500


def curves(subject: Subject, order: Tensor, generator: torch.Generator, *, least_first: bool) -> Tensor:
    """Scores of the images with a growing share of places imputed, in the order of the maps.

    Args:
        subject: the n images.
        order: int64 `(m, n, h, w)` of `ranks`.
        generator: of the noise; every map of an image gets the same noise at the same share.
        least_first: the least relevant places go first (LeRF) rather than the most relevant (MoRF).

    Returns:
        float64 `(m, n, LEVELS - 1)` on the CPU.
    """
    maps, images, height, width = order.shape
    places, levels = height * width, LEVELS - 1
    order = places - 1 - order if least_first else order
    counts = step_counts(places, LEVELS)[1:-1].to(order.device)
    drawn = torch.randn(subject.inputs.shape, generator=generator).to(subject.inputs)

    def build(numbers: Tensor) -> tuple[Tensor, Tensor]:
        level, row = numbers % levels, numbers // levels % images
        known = order[numbers // levels // images, row] >= counts[level][:, None, None]
        filled = impute(subject.inputs[row].float(), known[:, None])
        noisy = torch.where(known[:, None], filled, filled + NOISE * drawn[row])
        return noisy.to(subject.inputs.dtype), row

    return subject.score_each(maps * images * levels, build).reshape(maps, images, levels)


def impute(images: Tensor, known: Tensor) -> Tensor:
    """Replace places so that each is the weighted mean of its eight neighbours, known or replaced (Rong et al. 2022,
    section 4.2), with weights 1/6 for direct and 1/12 for diagonal ones, over those inside the picture.

    The systems of all images and channels are solved at once by conjugate gradients: with the sum of a place's weights
    on its diagonal each is symmetric and positive definite. A multigrid cycle is the preconditioner, so that a handful
    of iterations is enough however large the hole is. They end when the residual of each system is at most TOLERANCE of
    its right-hand side.

    Args:
        images: float `(n, c, h, w)`.
        known: bool `(n, 1, h, w)`: the places that stay; at least one per image.

    Raises:
        CheckFailed: the solution is not reached in MOST_ITERATIONS.
    """
    # one picture with a group per channel: many times faster than a convolution of n * c pictures of one channel
    flat = images.reshape(1, -1, *images.shape[-2:])
    unknown = (~known).to(flat.dtype).expand_as(images).reshape(flat.shape)
    grids = _grids(unknown)
    right = unknown * _neighbours(flat * (1 - unknown))
    values, residual = torch.zeros_like(right), right
    direction = _cycle(grids, residual)
    product = _dot(residual, direction)
    allowed = TOLERANCE**2 * _dot(right, right).clamp(min=torch.finfo(flat.dtype).tiny)
    for _ in range(MOST_ITERATIONS):
        if bool((_dot(residual, residual) <= allowed).all()):
            return torch.where(known, images, values.reshape(images.shape))
        applied = grids[0].apply(direction)
        length = _quotient(product, _dot(direction, applied))
        values = values + length * direction
        residual = residual - length * applied
        preconditioned = _cycle(grids, residual)
        previous, product = product, _dot(residual, preconditioned)
        direction = preconditioned + _quotient(product, previous) * direction
    raise CheckFailed(
        f"the imputation of ROAD did not converge in {MOST_ITERATIONS} iterations; are the inputs of a huge range?"
    )


def protocol() -> dict[str, object]:
    """What ROAD depends on beside the score."""
    return {
        "source": "Rong et al. 2022",
        "imputation": "noisy linear",
        "noise": NOISE,
        "removed": [level / LEVELS for level in range(1, LEVELS)],
        "tolerance": TOLERANCE,
    }


@dataclass(frozen=True)
class _Grid:
    """The system on one grid: 1 where a place is unknown, and the sum of the weights of its neighbours."""

    unknown: Tensor
    diagonal: Tensor

    def apply(self, values: Tensor) -> Tensor:
        return self.unknown * (self.diagonal * values - _neighbours(values))


def _grids(unknown: Tensor) -> list[_Grid]:
    """The grid itself and ever coarser ones, on which a place is unknown when all four that it stands for are."""
    found = [_Grid(unknown, _neighbours(torch.ones_like(unknown[:, :1])))]
    if min(unknown.shape[-2:]) > 2:
        coarse = (F.avg_pool2d(_even(unknown), 2) == 1).to(unknown)
        if bool(coarse.any()):
            found += _grids(coarse)
    return found


def _cycle(grids: Sequence[_Grid], right: Tensor) -> Tensor:
    """One V-cycle (Brandt 1977) from zero: a step of Jacobi, which leaves at most a third of what is rough, a
    correction from the coarser grid, and Jacobi again. Symmetric, as a preconditioner has to be."""
    grid = grids[0]
    values = grid.unknown * right / grid.diagonal
    if len(grids) > 1:
        hat = _hat(right)
        # the same weights on places twice as far apart mean a quarter of the curvature: sums, not means, go down
        down = F.conv2d(_even(right - grid.apply(values)), hat, stride=2, padding=1, groups=len(hat))
        correction = _cycle(grids[1:], grids[1].unknown * down)
        up = F.conv_transpose2d(correction, hat, stride=2, padding=1, groups=len(hat))
        values = values + grid.unknown * up[..., : right.shape[-2], : right.shape[-1]]
    return values + grid.unknown * (right - grid.apply(values)) / grid.diagonal


def _neighbours(values: Tensor) -> Tensor:
    """The weighted sum over the eight neighbours of `(1, k, h, w)`, nothing outside the picture."""
    kernel = [[DIAGONAL, DIRECT, DIAGONAL], [DIRECT, 0.0, DIRECT], [DIAGONAL, DIRECT, DIAGONAL]]
    groups = values.shape[1]
    return F.conv2d(values, values.new_tensor(kernel).expand(groups, 1, 3, 3), padding=1, groups=groups)


def _hat(like: Tensor) -> Tensor:
    """The weights of bilinear interpolation by two, for every channel of `(1, k, h, w)`."""
    line = like.new_tensor([0.25, 0.75, 0.75, 0.25])
    return (line[:, None] * line).expand(like.shape[1], 1, 4, 4)


def _even(values: Tensor) -> Tensor:
    """Padded with zeros, as known places, to even height and width."""
    height, width = values.shape[-2:]
    return F.pad(values, (0, width % 2, 0, height % 2))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(-2, -1), keepdim=True)


def _quotient(top: Tensor, bottom: Tensor) -> Tensor:
    """top / bottom, 0 where a system is solved already."""
    return torch.where(bottom > 0, top / bottom.clamp(min=torch.finfo(bottom.dtype).tiny), torch.zeros_like(top))
