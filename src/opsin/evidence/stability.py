"""Infidelity and max-sensitivity (Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from opsin.evidence.controls import edges, random_maps
from opsin.evidence.faithfulness import CONSTANT
from opsin.evidence.subject import Subject

SQUARES = 64
LARGEST_SQUARE = 1 / 3  # of the shorter side
RADIUS = 0.02  # of the preprocessed input, whose spread is about 1
NEIGHBOURS = 8


def infidelity(subject: Subject, stack: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared difference between what the map says that a removed square is worth, and what it is worth
    (equation 1 of the paper, with its square removal).

    A removed square is worth the sum of the map over it. Maps have units of their own, so that each is first scaled by
    the factor that serves it best (section 4 of the paper).

    Args:
        subject: the n images.
        stack: float `(m, n, h, w)`: m maps of each image.
        generator: of the squares: SQUARES per image, the same for every map, of a side between 1 pixel and
            LARGEST_SQUARE of the image.

    Returns:
        float64 `(m, n)` on the CPU, in the unit of the score, squared.
    """
    images = len(subject)
    removed = random_squares(images, subject.size, generator).to(stack.device)
    base = torch.full_like(subject.inputs, CONSTANT)
    before = subject.score_each(images, lambda numbers: (subject.inputs[numbers], numbers))

    def build(numbers: Tensor) -> tuple[Tensor, Tensor]:
        row = numbers // SQUARES
        square = removed[row, numbers % SQUARES][:, None]
        return torch.where(square, base[row], subject.inputs[row]), row

    dropped = before[:, None] - subject.score_each(images * SQUARES, build).reshape(images, SQUARES)
    said = torch.einsum("mnhw,nshw->mns", stack.double(), removed.double()).cpu()
    return unexplained(said, dropped)


def random_squares(images: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """bool `(images, SQUARES, h, w)`: True inside a square of random side and place."""
    height, width = size
    largest = max(1, int(min(size) * LARGEST_SQUARE))
    side = torch.randint(1, largest + 1, (images, SQUARES, 1, 1), generator=generator)
    draws = torch.rand(2, images, SQUARES, 1, 1, generator=generator)
    top, left = (draws[0] * (height - side + 1)).long(), (draws[1] * (width - side + 1)).long()
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    return (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)


def unexplained(said: Tensor, dropped: Tensor) -> Tensor:
    """float64 `(m, n)`: mean squared difference over the squares of `said` `(m, n, s)`, scaled as serves it best, and
    `dropped` `(n, s)`."""
    power = said.square().sum(dim=-1, keepdim=True)
    scale = torch.where(power > 0, (said * dropped).sum(dim=-1, keepdim=True) / power.clamp(min=1e-300), 0.0)
    return (scale * said - dropped).square().mean(dim=-1)


def max_sensitivity(
    subject: Subject, maps: Tensor, explain_again: Callable[[Tensor], np.ndarray], generator: torch.Generator
) -> np.ndarray:
    """By how much a map changes, at most, when its input is changed by noise that nobody can see (equation 3 of the
    paper): the Frobenius norm of the change, as a share of the map's own.

    Args:
        subject: the n images.
        maps: float `(n, h, w)`.
        explain_again: gives the maps `(n, h, w)` of changed inputs, for the same targets.
        generator: of NEIGHBOURS draws, uniform within RADIUS of every value.

    Returns:
        float64 `(3, n)`: of the explanation, of a random map that is drawn anew each time, and of the edges.
    """
    worst = np.zeros((3, len(subject)))
    edge = edges(subject.inputs)
    for _ in range(NEIGHBOURS):
        noise = (2 * torch.rand(subject.inputs.shape, generator=generator) - 1) * RADIUS
        moved = subject.inputs + noise.to(subject.inputs)
        first, second = random_maps(maps, 2, generator)
        changes = (
            relative_change(maps, torch.from_numpy(explain_again(moved)).to(maps)),
            relative_change(first, second),
            relative_change(edge, edges(moved)),
        )
        worst = np.maximum(worst, torch.stack(changes).cpu().numpy())
    return worst


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """float64 `(n,)`: Frobenius norm of the change of maps `(n, h, w)` over that of `before`; a blank map that stays
    blank has not changed (0), one that does not has changed by all there is (1)."""
    size = before.double().flatten(1).norm(dim=1)
    change = (after.double() - before.double()).flatten(1).norm(dim=1)
    return torch.where(size > 0, change / size.clamp(min=1e-300), (change > 0).double())


def protocol() -> dict[str, object]:
    """What infidelity depends on beside the score."""
    return {
        "source": "Yeh et al. 2019",
        "perturbation": "a random square replaced",
        "constant": CONSTANT,
        "largest_square": LARGEST_SQUARE,
        "samples": SQUARES,
        "scaled": "each map by the factor that serves it best",
    }
