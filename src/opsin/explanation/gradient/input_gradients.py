"""The score's gradient with respect to the input, plain and combined: saliency, input x gradient, integrated gradients.

Every method gives one value per place: channels are summed, so that the values add up to what the method explains;
saliency takes the largest magnitude over channels, as its paper has it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.job import Answer, Job
from opsin.explanation.split import normal_mode, run_module
from opsin.explanation.targets import Targets
from opsin.inference.engines.engine import DIFFERENTIABLE, EAGER, open_engine
from opsin.models.classifier import evaluating
from opsin.models.weights import bare


def saliency(job: Job) -> Answer:
    """The gradient's largest magnitude over channels (Simonyan et al. 2014)."""
    gradients, _, targets = input_gradients(job, job.inputs)
    return Answer([gradients.abs().amax(dim=2)], targets, evaluations=1 + targets.count)


def input_x_gradient(job: Job) -> Answer:
    """The input times the gradient (Shrikumar et al. 2016), summed over channels."""
    gradients, _, targets = input_gradients(job, job.inputs)
    return Answer([(gradients * job.inputs.unsqueeze(1)).sum(dim=2)], targets, evaluations=1 + targets.count)


def integrated_gradients(job: Job, *, steps: int = 32, baseline: float | None = 0.0, engine: str = "eager") -> Answer:
    """Integrated gradients (Sundararajan et al. 2017) along the straight line from a baseline, by Gauss-Legendre
    quadrature: exact for polynomials up to degree 2 * steps - 1.

    Args:
        job: the images.
        steps: points of the quadrature.
        baseline: the value of every entry of the preprocessed input from which the line starts; None: each image's own
            mean per channel.
        engine: what runs the network: eager, fused (two thirds of the time, where convolutions are normalised) or auto.
            Others than eager round differently, and a gradient jumps at the kink of a ReLU: single places then differ
            by some thousandths of the largest, about as much as float32 itself does from float64.

    `completeness` of the answer is the sum of the map minus the change of the score, which the axiom says is 0.
    """
    if steps < 1:
        raise OpsinError(f"steps was given as {steps}; expected at least 1")
    points, weights = np.polynomial.legendre.leggauss(steps)
    start = _baseline(job.inputs, baseline)
    opened = open_engine(job.model, job.inputs, engine, 3 * steps, DIFFERENTIABLE)
    targets = job.resolve(opened.logits)
    job = dataclasses.replace(job, model=opened.network)
    change = targets.scores(opened.logits) - targets.scores(job.model.logits(start).to(opened.logits.device))
    total = 0.0
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        at = start + float(point) * (job.inputs - start)
        total = total + float(weight) * input_gradients(job, at, targets)[0]
    assert isinstance(total, Tensor)  # there is at least one step
    maps = (total * (job.inputs - start).unsqueeze(1)).sum(dim=2)
    gap = maps.sum(dim=(-2, -1)) - change
    passes = steps * (1 + targets.count) + (2 if opened.name == EAGER else 3)
    return Answer([maps], targets, evaluations=passes, completeness=[gap], used=opened.used)


def input_gradients(
    job: Job,
    inputs: Tensor,
    targets: Targets | None = None,
    *,
    around: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> tuple[Tensor, Tensor, Targets]:
    """`(n, t, c, h, w)` gradients with respect to the input, `(n, t)` scores, and the targets.

    Weights get no gradients and the network's state is restored. `around` is entered for the passes (guided
    backpropagation changes the rules of ReLU there).
    """
    module = bare(job.model.module)
    with evaluating(module), normal_mode(), torch.enable_grad(), around():
        # in the usual layout, whatever is faster: another rounds differently, which the kinks of ReLUs make visible
        leaf = inputs.detach().clone(memory_format=torch.contiguous_format).requires_grad_(True)
        logits = job.model.read_output(run_module(job.model, module, leaf), len(leaf))
        targets = targets if targets is not None else job.resolve(logits.detach())
        scores = targets.scores(logits)
        if not scores.requires_grad:
            raise OpsinError(
                f"the scores of {job.model.label} have no gradient with respect to the input: the network switches "
                "gradients off inside forward or computes on without PyTorch; use a perturbation method such as rise"
            )
        columns = [
            torch.autograd.grad(scores[:, column].sum(), leaf, retain_graph=column < targets.count - 1)[0]
            for column in range(targets.count)
        ]
    return torch.stack(columns, dim=1), scores.detach(), targets


def _baseline(inputs: Tensor, value: float | None) -> Tensor:
    if value is None:
        return inputs.mean(dim=(-2, -1), keepdim=True).expand_as(inputs)
    return torch.full_like(inputs, value)
