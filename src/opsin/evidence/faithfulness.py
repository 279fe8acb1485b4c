"""Deletion and insertion: how the score changes as places go or come in the map's order (Petsiuk et al. 2018, RISE)."""

from __future__ import annotations

from math import ceil
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from opsin.evidence.subject import Subject

Baseline = Literal["constant", "blurred"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
CONSTANT = 0.0  # of the preprocessed input: the mean colour that Preprocess takes away
BLUR_SHARE = 1 / 8  # the blur's sigma as a share of the longer side: nothing of the object may stay readable


def curves(subject: Subject, stack: Tensor, order: Tensor, base: Tensor, steps: int, *, insert: bool) -> Tensor:
    """Scores while the places that the maps rank highest are replaced by the baseline, or inserted into it.

    Args:
        subject: the n images.
        stack: float `(m, n, h, w)`: m maps of each image.
        order: int64 `(m, n, h, w)` of `ranks`, 0 for the place that goes or comes first.
        base: float `(n, c, h, w)` of `baseline_of`.
        steps: how many times places are changed; after k steps a share k / steps of them is.
        insert: start at the baseline and insert, instead of starting at the image and deleting.

    Returns:
        float64 `(m, n, steps + 1)` on the CPU.
    """
    maps, images, height, width = stack.shape
    counts = step_counts(height * width, steps).to(stack.device)

    def build(numbers: Tensor) -> tuple[Tensor, Tensor]:
        step = numbers % (steps + 1)
        row = numbers // (steps + 1) % images
        changed = order[numbers // (steps + 1) // images, row] < counts[step][:, None, None]
        kept = (changed if insert else ~changed)[:, None]
        return torch.where(kept, subject.inputs[row], base[row]), row

    return subject.score_each(maps * images * (steps + 1), build).reshape(maps, images, steps + 1)


def step_counts(places: int, steps: int) -> Tensor:
    """int64 `(steps + 1,)`: how many places are changed after each step, from none to all."""
    return (torch.arange(steps + 1, dtype=torch.float64) * places / steps).round().long()


def area_under(curve: Tensor) -> Tensor:
    """Area under curves `(..., points)` over a span of 1, by the trapezoid rule: the mean height of the curve."""
    return (curve[..., 1:] + curve[..., :-1]).mean(dim=-1) / 2


def ranks(maps: Tensor, generator: torch.Generator) -> Tensor:
    """int64 `(..., h, w)`: 0 for the place with the highest value.

    Equal values are put in random order: in the order of the pixels, a blank map would delete from the top left.
    """
    flat = maps.flatten(-2)
    shuffle = torch.rand(flat.shape, generator=generator).argsort(dim=-1).to(maps.device)
    sorted_places = flat.gather(-1, shuffle).argsort(dim=-1, descending=True, stable=True)
    places = shuffle.gather(-1, sorted_places)
    count = torch.arange(flat.shape[-1], device=maps.device).expand_as(places)
    return torch.empty_like(places).scatter_(-1, places, count).reshape(maps.shape)


def baseline_of(inputs: Tensor, kind: Baseline) -> Tensor:
    """float `(n, c, h, w)`: what replaces the places: zero in the preprocessed input, or the image blurred until
    nothing in it can be read."""
    if kind == "constant":
        return torch.full_like(inputs, CONSTANT)
    sigma = blur_sigma(inputs.shape[-2:])
    height, width = inputs.shape[-2:]
    kernel = [min(2 * ceil(2 * sigma) + 1, 2 * side - 1) for side in (width, height)]  # reflection needs the side
    return tv.gaussian_blur(inputs, kernel, [sigma, sigma])


def blur_sigma(size: tuple[int, ...]) -> float:
    """Standard deviation of the blurred baseline in pixels, for images of a height and width."""
    return max(size) * BLUR_SHARE


def protocol(kind: Baseline, steps: int, size: tuple[int, int]) -> dict[str, object]:
    """What deletion and insertion depend on beside the score."""
    places = size[0] * size[1]
    described: dict[str, object] = {
        "source": "Petsiuk et al. 2018",
        "steps": steps,
        "places_per_step": float(np.round(places / steps, 3)),
        "baseline": kind,
        "area": "normalised trapezoid",
    }
    return {**described, **({"constant": CONSTANT} if kind == "constant" else {"sigma": blur_sigma(size)})}
