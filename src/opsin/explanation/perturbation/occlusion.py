"""Occlusion: how far a score falls when a window of the picture is covered."""

from __future__ import annotations

import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.job import Answer, Job
from opsin.explanation.perturbation.scoring import open_scorer, start_from

PARTS = 7  # windows side by side along the shorter side, by default


def occlusion(
    job: Job,
    *,
    window: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    baseline: float | None = 0.0,
    output: str = "logits",
    engine: str = "auto",
) -> Answer:
    """Occlusion (Zeiler and Fergus 2014). The value of a place is the mean, over the windows that cover it, of how far
    the score falls when the window is covered: signed, in the unit of the score.

    Args:
        job: the images.
        window: height and width in pixels, or one for both; None: a seventh of the shorter side.
        stride: from one window to the next, at most the window; None: half a window. The last window of a row or column
            is moved back so that it ends where the picture ends: all windows have one size, and their drops compare.
        baseline: what covers, in values of the preprocessed input (0: the mean colour of usual Preprocesses); None:
            each image's own mean per channel.
        output: whether a score is a logit or a probability ("logits", "probabilities").
        engine: what runs the network: auto, eager, fused or onnxruntime.

    Raises:
        OpsinError: a window is no positive size within the picture, or the stride leaves places uncovered.
    """
    size = job.size
    side = max(1, min(size) // PARTS)
    height, width = _pair("window", window, (side, side))
    down, right = _pair("stride", stride, (max(1, height // 2), max(1, width // 2)))
    if height > size[0] or width > size[1]:
        raise OpsinError(
            f"the window {height} x {width} is larger than the input {size[0]} x {size[1]}; give a smaller one"
        )
    if down > height or right > width:
        raise OpsinError(
            f"the stride {down} x {right} is larger than the window {height} x {width}, so that places stay uncovered; "
            "give at most the window"
        )
    device = job.inputs.device
    tops, lefts = _starts(size[0], height, down).to(device), _starts(size[1], width, right).to(device)
    rows = _covered(tops, height, size[0])
    columns = _covered(lefts, width, size[1])
    variants = len(tops) * len(lefts)
    scorer = open_scorer(job, variants, engine, output)
    cover = start_from(job.inputs, baseline)

    def build(image: Tensor, variant: Tensor) -> Tensor:
        hidden = rows[variant // len(lefts), :, None] & columns[variant % len(lefts), None, :]
        return torch.where(hidden[:, None], cover[image], job.inputs[image])

    drops = scorer.base[:, None] - scorer.table(variants, build)
    drops = drops.reshape(len(drops), len(tops), len(lefts), -1)
    # windows are a product of rows and columns, and so is how often a place is covered
    shares_down = rows.float() / rows.sum(dim=0)
    shares_right = columns.float() / columns.sum(dim=0)
    maps = torch.einsum("nrct,rh,cw->nthw", drops, shares_down, shares_right)
    return Answer([maps], scorer.targets, evaluations=variants + scorer.overhead, used=scorer.used)


def _starts(length: int, window: int, stride: int) -> Tensor:
    last = length - window
    starts = list(range(0, last + 1, stride))
    return torch.tensor(starts if starts[-1] == last else [*starts, last])


def _covered(starts: Tensor, window: int, length: int) -> Tensor:
    """bool `(starts, length)`: which places each window covers along one axis."""
    places = torch.arange(length, device=starts.device)
    return (places >= starts[:, None]) & (places < starts[:, None] + window)


def _pair(name: str, given: int | tuple[int, int] | None, default: tuple[int, int]) -> tuple[int, int]:
    if given is None:
        return default
    pair = (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2 or not all(isinstance(item, int) and item >= 1 for item in pair):
        raise OpsinError(f"{name} was given as {given!r}; expected a positive number of pixels, or (height, width)")
    return pair
