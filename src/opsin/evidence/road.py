"""ROAD, remove and debias: places are replaced by what their neighbours tell about them (Rong et al. 2022)."""

from __future__ import annotations

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
MOST_ITERATIONS = 5000


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

    The system of all images and channels is solved at once by conjugate gradients: with the sum of a place's weights on
    its diagonal it is symmetric and positive definite. They start from averages of ever coarser grids, and end when the
    residual of each system is at most TOLERANCE of its right-hand side.

    Args:
        images: float `(n, c, h, w)`.
        known: bool `(n, 1, h, w)`: the places that stay; at least one per image.

    Raises:
        CheckFailed: the solution is not reached in MOST_ITERATIONS.
    """
    unknown = (~known).to(images.dtype)
    kernel = images.new_tensor([[DIAGONAL, DIRECT, DIAGONAL], [DIRECT, 0, DIRECT], [DIAGONAL, DIRECT, DIAGONAL]])
    diagonal = _neighbours(torch.ones_like(images[:1, :1]), kernel)
    right = unknown * _neighbours(images * known, kernel)

    def system(values: Tensor) -> Tensor:
        return unknown * (diagonal * values - _neighbours(values, kernel))

    values = unknown * _coarse(images * known, known.to(images.dtype))
    residual = right - system(values)
    direction = residual / diagonal
    product = _dot(residual, direction)
    allowed = TOLERANCE**2 * _dot(right, right).clamp(min=torch.finfo(images.dtype).tiny)
    for _ in range(MOST_ITERATIONS):
        if bool((_dot(residual, residual) <= allowed).all()):
            return torch.where(known, images, values)
        applied = system(direction)
        length = _quotient(product, _dot(direction, applied))
        values = values + length * direction
        residual = residual - length * applied
        preconditioned = residual / diagonal
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


def _coarse(known_values: Tensor, weights: Tensor) -> Tensor:
    """A first guess everywhere: the mean of the known places in a cell of 2 x 2, or in the cell of 4 x 4, and so on."""
    height, width = weights.shape[-2:]
    if max(height, width) == 1:
        return known_values / weights.clamp(min=1e-12)
    sums, shares = (F.avg_pool2d(part, 2, ceil_mode=True) for part in (known_values, weights))
    means = sums / shares.clamp(min=1e-12)
    found = (shares > 0).to(means)
    rest = _coarse(means * found, found)
    filled = torch.where(found > 0, means, rest)
    return F.interpolate(filled, size=(height, width), mode="bilinear", align_corners=False)


def _neighbours(values: Tensor, kernel: Tensor) -> Tensor:
    """The weighted sum over the eight neighbours, nothing outside the picture."""
    flat = values.reshape(-1, 1, *values.shape[-2:])
    return F.conv2d(flat, kernel[None, None], padding=1).reshape(values.shape)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(-2, -1), keepdim=True)


def _quotient(top: Tensor, bottom: Tensor) -> Tensor:
    """top / bottom, 0 where a system is solved already."""
    return torch.where(bottom > 0, top / bottom.clamp(min=torch.finfo(bottom.dtype).tiny), torch.zeros_like(top))
