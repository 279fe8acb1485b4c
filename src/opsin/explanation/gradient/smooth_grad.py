"""SmoothGrad: the mean of any method's maps over noisy copies of the input."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import torch

from opsin.errors import OpsinError
from opsin.explanation.job import Answer, Job, Method
from opsin.inference.engines.engine import AUTO, DIFFERENTIABLE, EAGER, Engine, open_engine


def smooth_grad(
    job: Job, *, of: str = "saliency", samples: int = 16, noise: float = 0.15, engine: str | None = None, **options: Any
) -> Answer:
    """SmoothGrad (Smilkov et al. 2017) of any gradient or CAM method: the mean of its maps over copies of the input
    with Gaussian noise. What is averaged are the method's maps as they are: of saliency, magnitudes.

    The target is that of the input without noise. All images get the same noise, each scaled to its own range. The
    error is the standard error of the mean over the copies, averaged over places.

    Args:
        job: the images; `job.inner` is the method.
        of: the method's name (resolved by `explain`, into `job.inner`).
        samples: noisy copies.
        noise: standard deviation as a share of the range (largest minus smallest value) of each image's input; the
            paper recommends 0.1 to 0.2.
        engine: what runs the network. None: eager for a method that needs gradients (see `integrated_gradients`), and
            for others what they take by themselves.
        options: settings of the method.

    Raises:
        OpsinError: a setting is outside its range.
    """
    if samples < 2 or noise <= 0:
        raise OpsinError(f"samples={samples} and noise={noise} were given; expected at least 2, and more than 0")
    if job.inner is None:
        raise OpsinError(f"smooth_grad was not told which method to smooth; give a method: of={of!r}")
    opened, options = _opened(job, job.inner, engine, samples, options)
    targets = job.resolve(opened.logits)
    network = opened.network
    flat = job.inputs.float().flatten(1)
    spread = (flat.amax(dim=1) - flat.amin(dim=1)).view(-1, 1, 1, 1) * noise
    draws = job.draws()
    means: list[torch.Tensor] = []
    squares: list[torch.Tensor] = []
    evaluations = 1 if opened.name == EAGER else 2
    for number in range(1, samples + 1):
        drawn = torch.randn(job.inputs.shape[1:], generator=draws).to(job.inputs.device)
        noisy = (job.inputs + spread * drawn).to(job.inputs.dtype)
        copy = dataclasses.replace(job, model=network, inputs=noisy, resolve=lambda _: targets, inner=None)
        answer = job.inner.run(copy, **options)
        evaluations += answer.evaluations
        maps = [item.detach().float() for item in answer.maps]
        if not means:
            means, squares = [torch.zeros_like(item) for item in maps], [torch.zeros_like(item) for item in maps]
        for mean, square, item in zip(means, squares, maps, strict=True):
            step = item - mean
            mean.add_(step / number)  # Welford 1962: no difference of large sums
            square.add_(step * (item - mean))
    errors = [(square / (samples - 1) / samples).sqrt().mean(dim=(-2, -1)) for square in squares]
    return Answer(means, targets, evaluations, error=errors, used=opened.used)


def _opened(
    job: Job, inner: Method, engine: str | None, samples: int, options: dict[str, Any]
) -> tuple[Engine, dict[str, Any]]:
    """The engine for the passes, and the method's options: one that opens engines itself is told which."""
    chooses = "engine" in inspect.signature(inner.run).parameters
    if inner.family == "gradient" and not inner.layer:
        opened = open_engine(job.model, job.inputs, engine or EAGER, 3 * samples, DIFFERENTIABLE)
        return opened, {**options, "engine": EAGER} if chooses else options
    if not chooses and engine not in (None, AUTO, EAGER):
        raise OpsinError(f"engine={engine!r} was given for a method that looks at a layer; give eager or auto")
    return open_engine(job.model, job.inputs, EAGER), {**options, "engine": engine} if chooses and engine else options
