"""RISE: the mean of random masks, weighted by the score of what they leave visible."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.job import Answer, Job
from opsin.explanation.perturbation.scoring import open_scorer, start_from


def rise(
    job: Job,
    *,
    masks: int = 1000,
    cells: int = 7,
    keep: float = 0.5,
    baseline: float | None = 0.0,
    output: str = "probabilities",
    engine: str = "auto",
) -> Answer:
    """RISE (Petsiuk et al. 2018, equation 6): the sum of the masks weighted by their scores, over N times `keep`.

    Masks are made as in section 3.2 there: a grid of cells, each visible with probability `keep`, enlarged bilinearly
    by one cell more than the picture needs, and cut out at a random offset. All images share the masks. The error is
    the standard error of a place's mean over the masks.

    Args:
        job: the images.
        masks: how many; the paper has 4,000 for VGG16 and 8,000 for ResNet-50.
        cells: of a mask along each side.
        keep: the probability with which a cell stays visible.
        baseline: what hidden places show, in values of the preprocessed input (the paper's product with the mask is 0);
            None: each image's own mean per channel.
        output: whether a score is a logit or a probability ("logits", "probabilities"); the paper has probabilities.
        engine: what runs the network: auto, eager, fused or onnxruntime.

    Raises:
        OpsinError: a setting is outside its range.
    """
    if masks < 2 or cells < 1:
        raise OpsinError(f"masks={masks} and cells={cells} were given; expected at least 2 masks of at least 1 cell")
    if not 0 < keep < 1:
        raise OpsinError(f"keep was given as {keep}; expected a probability between 0 and 1")
    source = RandomMasks(job.draws(), masks, cells, keep, job.size, job.inputs.device)
    scorer = open_scorer(job, masks, engine, output)
    empty = start_from(job.inputs, baseline)
    latest: list[Tensor] = [torch.empty(0)]  # the masks of the present pass, which its scores weight

    def build(image: Tensor, variant: Tensor) -> Tensor:
        latest[0] = source.masks(int(variant[0]), int(variant[-1]) + 1)
        visible = latest[0][variant - variant[0], None].to(job.inputs.dtype)
        return empty[image] + (job.inputs[image] - empty[image]) * visible

    images, count = len(job.inputs), scorer.targets.count
    total = torch.zeros(images * count, job.size[0] * job.size[1], device=job.inputs.device)
    squares = torch.zeros_like(total)
    for image, variant, scores in scorer.passes(masks, build):
        flat = latest[0].flatten(1)
        weights = flat.new_zeros(len(flat), images, count)
        weights[variant - variant[0], image] = scores
        weights = weights.flatten(1).T
        total.addmm_(weights, flat)
        squares.addmm_(weights.square(), flat.square())
    mean = total / masks
    variance = (squares / masks - mean.square()).clamp(min=0) * masks / (masks - 1)
    maps = (mean / keep).reshape(images, count, *job.size)
    error = ((variance / masks).sqrt() / keep).mean(dim=1).reshape(images, count)
    return Answer([maps], scorer.targets, evaluations=masks + scorer.overhead, error=[error], used=scorer.used)


class RandomMasks:
    """The masks of one seed, made where they are needed, so that memory does not grow with their number."""

    def __init__(
        self,
        generator: torch.Generator,
        count: int,
        cells: int,
        keep: float,
        size: tuple[int, int],
        device: torch.device,
    ) -> None:
        self._cells = (torch.rand(count, cells, cells, generator=generator) < keep).float().to(device)
        self._steps = [-(-length // cells) for length in size]  # pixels per cell, rounded up
        self._offsets = [torch.randint(step, (count,), generator=generator).to(device) for step in self._steps]
        # enlarging is linear and acts on rows and columns apart: one matrix for each
        self._enlarge = [_enlarging(cells, (cells + 1) * step).to(device) for step in self._steps]
        self._size = size

    def masks(self, start: int, stop: int) -> Tensor:
        """float32 `(stop - start, h, w)` in 0..1."""
        down, right = (
            matrix[offset[start:stop, None] + torch.arange(length, device=offset.device)]
            for matrix, offset, length in zip(self._enlarge, self._offsets, self._size, strict=True)
        )
        return down @ self._cells[start:stop] @ right.transpose(1, 2)


def _enlarging(cells: int, pixels: int) -> Tensor:
    """`(pixels, cells)`: bilinear enlarging along one axis, half-pixel centres."""
    return F.interpolate(torch.eye(cells)[None], size=pixels, mode="linear", align_corners=False)[0].T.contiguous()
