"""LIME: a weighted linear model of the score, over superpixels that are shown or hidden."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.job import Answer, Job
from opsin.explanation.perturbation.scoring import open_scorer

MORE_COMPACT = 5  # attempts


def lime(
    job: Job,
    *,
    samples: int = 500,
    segments: int = 50,
    ridge: float = 1.0,
    kernel_width: float = 0.25,
    baseline: float | None = None,
    output: str = "probabilities",
    engine: str = "auto",
) -> Answer:
    """LIME for images (Ribeiro et al. 2016): the value of a place is its superpixel's coefficient in a ridge regression
    of the score on which superpixels are visible.

    Superpixels are SLIC's (Achanta et al. 2012). Each is visible with probability 1/2; the first sample shows all. A
    sample counts with exp(-D^2 / width^2), D being the cosine distance between it and the whole picture, and the
    intercept is not shrunk. All superpixels stay in the model (the paper selects K of them to show). The error is the
    coefficients' standard error, robust to unequal noise (White 1980), averaged over places.

    Args:
        job: the images.
        samples: how many pictures with hidden superpixels.
        segments: superpixels that are asked for; SLIC gives about as many.
        ridge: the penalty on squared coefficients.
        kernel_width: of the kernel over the cosine distance.
        baseline: what a hidden superpixel shows, in values of the preprocessed input; None: its own mean colour.
        output: whether a score is a logit or a probability ("logits", "probabilities").
        engine: what runs the network: auto, eager, fused or onnxruntime.

    Raises:
        OpsinError: a setting is outside its range.
    """
    if samples < 2 or segments < 2:
        raise OpsinError(f"samples={samples} and segments={segments} were given; expected at least 2 of each")
    if ridge < 0 or kernel_width <= 0:
        raise OpsinError(
            f"ridge={ridge} and kernel_width={kernel_width} were given; expected at least 0, and more than 0"
        )
    labels = [superpixels(picture, segments, _display(job)) for picture in job.inputs]
    counts = [int(label.max()) + 1 for label in labels]
    shown = [_coalitions(job, samples, count) for count in counts]
    places = torch.stack(labels).to(job.inputs.device)
    # rows of equal length, so that samples of several images can be made at once
    visible = torch.zeros(len(labels), samples, max(counts), dtype=torch.bool, device=job.inputs.device)
    for index, drawn in enumerate(shown):
        visible[index, :, : drawn.shape[1]] = drawn.to(visible.device)
    hidden = _hidden(job.inputs, places, max(counts), baseline)
    scorer = open_scorer(job, samples, engine, output)

    def build(image: Tensor, variant: Tensor) -> Tensor:
        seen = visible[image, variant].gather(1, places[image].flatten(1)).view(len(image), 1, *job.size)
        return torch.where(seen, job.inputs[image], hidden[image])

    table = scorer.table(samples, build).cpu().double()
    maps, errors = [], []
    for index, drawn in enumerate(shown):
        coefficients, error = fit(drawn.double(), table[index], ridge, kernel_width)
        maps.append(coefficients[labels[index]].movedim(-1, 0))
        errors.append(error[labels[index]].mean(dim=(0, 1)))
    answer = [torch.stack(maps).float()]
    return Answer(
        answer, scorer.targets, samples + scorer.overhead, error=[torch.stack(errors).float()], used=scorer.used
    )


def superpixels(picture: Tensor, segments: int, display: tuple[Tensor, Tensor] | None) -> Tensor:
    """int64 `(h, w)`, numbered from 0 without gaps: SLIC superpixels of one preprocessed picture `(c, h, w)`.

    `display` is the mean and std with which it becomes pixels again; None: it is scaled from its own range. Fine
    texture tears superpixels apart, and SLIC then joins the pieces, down to one: where fewer than half of those asked
    for are left, they are asked to be ten times as compact.
    """
    from skimage.segmentation import slic

    pixels = picture.detach().float().cpu()
    if display is None:
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) / (high - low) if high > low else torch.zeros_like(pixels)
    else:
        pixels = (pixels * display[1] + display[0]).clamp(0, 1)
    colour = len(pixels) == 3
    compactness = 10.0 if colour else 0.1  # as far as colours of Lab lie apart, and grey values of 0..1
    names, numbered = np.zeros(0), np.zeros(0)
    for _ in range(MORE_COMPACT):
        found = slic(
            pixels.permute(1, 2, 0).numpy(),
            n_segments=segments,
            compactness=compactness,
            convert2lab=colour,
            channel_axis=-1,
            start_label=0,
        )
        names, numbered = np.unique(found, return_inverse=True)
        if 2 * len(names) >= min(segments, found.size):
            break
        compactness *= 10
    return torch.from_numpy(numbered.reshape(picture.shape[1:]).astype(np.int64))


def fit(shown: Tensor, scores: Tensor, ridge: float, kernel_width: float) -> tuple[Tensor, Tensor]:
    """Weighted ridge regression with a free intercept.

    Args:
        shown: float64 0 or 1 `(samples, segments)`.
        scores: float64 `(samples, t)`.
        ridge: penalty.
        kernel_width: of the samples' weights.

    Returns:
        Coefficients and their standard errors, both `(segments, t)`.
    """
    # cosine of a 0/1 row with the row of ones: the root of its share of ones
    distance = 1 - shown.mean(dim=1).sqrt()
    weights = (-distance.square() / kernel_width**2).exp()[:, None]
    centred = shown - (weights * shown).sum(dim=0) / weights.sum()
    wanted = scores - (weights * scores).sum(dim=0) / weights.sum()
    gram = centred.T @ (weights * centred) + ridge * torch.eye(shown.shape[1], dtype=shown.dtype)
    solver = torch.linalg.pinv(gram, hermitian=True) @ (weights * centred).T
    coefficients = solver @ wanted
    left = wanted - centred @ coefficients
    return coefficients, (solver.square() @ left.square()).sqrt()


def _coalitions(job: Job, samples: int, segments: int) -> Tensor:
    drawn = torch.rand(samples, segments, generator=job.draws()) < 0.5
    drawn[0] = True
    return drawn


def _hidden(inputs: Tensor, places: Tensor, count: int, baseline: float | None) -> Tensor:
    """`(n, c, h, w)`: what every place shows when its superpixel is hidden."""
    if baseline is not None:
        return torch.full_like(inputs, baseline)
    flat = places.flatten(1)[:, None].expand(-1, inputs.shape[1], -1)
    values = inputs.flatten(2).float()
    sums = values.new_zeros(*values.shape[:2], count).scatter_add_(2, flat, values)
    sizes = values.new_zeros(*values.shape[:2], count).scatter_add_(2, flat, torch.ones_like(values))
    return (sums / sizes.clamp(min=1)).gather(2, flat).view(inputs.shape).to(inputs.dtype)


def _display(job: Job) -> tuple[Tensor, Tensor] | None:
    preprocess = job.model.preprocess
    if preprocess is None:
        return None
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (preprocess.mean, preprocess.std))
    return mean, std
