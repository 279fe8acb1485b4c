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
NEIGHBOURS = ((DIAGONAL, DIRECT, DIAGONAL), (DIRECT, 0.0, DIRECT), (DIAGONAL, DIRECT, DIAGONAL))
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
    flat, unknown = _planes(images), _planes((~known).to(images.dtype).expand_as(images))
    grids = _grids(unknown)
    right = unknown * grids[0].neighbours(flat * (1 - unknown))
    values, residual = torch.zeros_like(right), right
    direction = _cycle(grids, residual)
    product = _dot(residual, direction)
    allowed = TOLERANCE**2 * _dot(right, right).clamp(min=torch.finfo(flat.dtype).tiny)
    for _ in range(MOST_ITERATIONS):
        if bool((_dot(residual, residual) <= allowed).all()):
            filled = flat * (1 - unknown) + values
            return filled.reshape(images.shape).to(images)
        applied = grids[0].apply(direction)
        length = _quotient(product, _dot(direction, applied))
        values = torch.addcmul(values, length, direction)
        residual = torch.addcmul(residual, length, applied, value=-1)
        preconditioned = _cycle(grids, residual)
        previous, product = product, _dot(residual, preconditioned)
        direction = torch.addcmul(preconditioned, _quotient(product, previous), direction)
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
    """The system on one grid: 1 where a place is unknown, the sum of the weights of its neighbours, and the quotient of
    the two, which is a step of Jacobi. `kernel` and `hat` are the weights of the neighbours and of bilinear
    interpolation by two, for every plane."""

    unknown: Tensor
    diagonal: Tensor
    jacobi: Tensor
    kernel: Tensor
    hat: Tensor

    def neighbours(self, values: Tensor) -> Tensor:
        """The weighted sum over the eight neighbours, nothing outside the picture."""
        return F.conv2d(values, self.kernel, padding=1, groups=len(self.kernel))

    def apply(self, values: Tensor) -> Tensor:
        """The system's matrix times values, which are zero at known places."""
        return self.unknown * (self.diagonal * values - self.neighbours(values))

    def down(self, values: Tensor) -> Tensor:
        """Values on the grid of half the size: the transpose of `up`. The same weights on places twice as far apart
        mean a quarter of the curvature: sums, not means, go down."""
        return F.conv2d(_even(values), self.hat, stride=2, padding=1, groups=len(self.hat))

    def up(self, values: Tensor) -> Tensor:
        """Values of the grid of half the size on this one."""
        height, width = self.unknown.shape[-2:]
        return F.conv_transpose2d(values, self.hat, stride=2, padding=1, groups=len(self.hat))[..., :height, :width]


def _planes(images: Tensor) -> Tensor:
    """`(n, c, h, w)` as one picture `(1, n * c, h, w)` with a group per plane, channels last: convolutions of it are
    more than ten times faster than of planes one behind the other."""
    return images.reshape(1, -1, *images.shape[-2:]).contiguous(memory_format=torch.channels_last)


def _grids(unknown: Tensor) -> list[_Grid]:
    """The grid itself and ever coarser ones, on which a place is unknown when all four that it stands for are."""
    planes = unknown.shape[1]
    line, stencil = unknown.new_tensor([0.25, 0.75, 0.75, 0.25]), unknown.new_tensor(NEIGHBOURS)
    diagonal = F.conv2d(torch.ones_like(unknown[:, :1]), stencil[None, None], padding=1)
    kernel, hat = stencil.repeat(planes, 1, 1, 1), (line[:, None] * line).repeat(planes, 1, 1, 1)
    found = [_Grid(unknown, diagonal, unknown / diagonal, kernel, hat)]
    if min(unknown.shape[-2:]) > 2:
        coarse = (F.avg_pool2d(_even(unknown), 2) == 1).to(unknown)
        if bool(coarse.any()):
            found += _grids(coarse)
    return found


def _cycle(grids: Sequence[_Grid], right: Tensor) -> Tensor:
    """One V-cycle (Brandt 1977) from zero: a step of Jacobi, which leaves at most a third of what is rough, a
    correction from the coarser grid, and Jacobi again. Symmetric, as a preconditioner has to be.

    Jacobi divides by the whole diagonal, so that only the neighbours are left of the residual behind its step.
    """
    grid = grids[0]
    values = grid.jacobi * right
    if len(grids) > 1:
        rest = grid.unknown * grid.neighbours(values)
        correction = _cycle(grids[1:], grids[1].unknown * grid.down(rest))
        values = torch.addcmul(values, grid.unknown, grid.up(correction))
    return grid.jacobi * (right + grid.neighbours(values))


def _even(values: Tensor) -> Tensor:
    """Padded with zeros, as known places, to even height and width."""
    height, width = values.shape[-2:]
    return F.pad(values, (0, width % 2, 0, height % 2))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """`(1, k, 1, 1)`: the scalar product of every plane."""
    return (a * b).permute(0, 2, 3, 1).reshape(-1, a.shape[1]).sum(dim=0)[None, :, None, None]


def _quotient(top: Tensor, bottom: Tensor) -> Tensor:
    """top / bottom, 0 where a system is solved already."""
    return torch.where(bottom > 0, top / bottom.clamp(min=torch.finfo(bottom.dtype).tiny), torch.zeros_like(top))
