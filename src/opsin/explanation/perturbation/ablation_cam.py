"""Ablation-CAM: channels of a layer, weighted by how far the score falls without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from opsin.explanation.job import Answer, Job, enlarge
from opsin.explanation.layers import Layer
from opsin.explanation.split import with_tensor
from opsin.explanation.targets import Targets
from opsin.models.classifier import evaluating
from opsin.models.weights import bare

PASS_VALUES = 2**23  # values of the layer's output in one pass
MOST = 256
AGREE = 1e-4  # of the largest logit, within which the short way must give what the long way gives

Run = Callable[[Tensor, Tensor], Tensor]
"""One picture `(1, c, h, w)` and outputs of the layer `(b, ...)` to logits `(b, classes)`."""


def ablation_cam(job: Job, *, relu: bool = True) -> Answer:
    """Ablation-CAM (Desai and Ramaswamy 2020, equations 3 and 4): a channel's weight is how far the score falls when
    the channel is set to zero, as a share of the score.

    The share is of the score's magnitude: with the score itself a negative one would turn every weight's sign around.

    Only what stands behind the layer has to run for each channel: the network runs on one image, and its layer answers
    with one copy per channel. Whether the rest takes that (it adds or reads the layer's output only) is tried on the
    images; where it does not, the picture itself is repeated.

    Args:
        job: the images and layers.
        relu: clamp the map at zero.
    """
    split = job.split
    targets = job.resolve(split.logits.detach())
    base = targets.scores(split.logits.detach().float())
    maps, evaluations = [], 1
    for layer in job.layers:
        output = split.outputs[layer.name].detach()
        channels = layer.grid.maps(output).float()
        run = _shorter_way(job, layer, output[:1])
        without = torch.stack([_without(job, layer, output, index, targets, run) for index in range(len(output))])
        magnitude = base.abs()[:, None]
        safe = torch.where(magnitude == 0, torch.ones_like(magnitude), magnitude)
        weights = torch.where(magnitude == 0, torch.zeros_like(without), (base[:, None] - without) / safe)
        signed = torch.einsum("nct,nchw->nthw", weights, channels)
        maps.append(enlarge(signed.relu() if relu else signed, job.size))
        evaluations += channels.shape[1]
    return Answer(maps, targets, evaluations)


def _without(job: Job, layer: Layer, output: Tensor, index: int, targets: Targets, run: Run) -> Tensor:
    """`(channels, t)`: the scores of one image with each channel of the layer set to zero."""
    one = output[index : index + 1]
    count = layer.grid.maps(one).shape[1]
    step = max(1, min(MOST, PASS_VALUES // max(one.numel(), job.inputs[0].numel())))
    scores = []
    for start in range(0, count, step):
        logits = run(job.inputs[index : index + 1], _ablated(layer, one, range(start, min(start + step, count))))
        rows = torch.full((len(logits),), index)
        scores.append(targets.rows(rows).scores(logits.float()))
    return torch.cat(scores)


def _ablated(layer: Layer, output: Tensor, chosen: range) -> Tensor:
    """One image's output, a copy per chosen channel, in which this channel is zero."""
    copies = output.expand(len(chosen), *output.shape[1:]).clone()
    maps = layer.grid.maps(copies).clone()
    maps[torch.arange(len(chosen)), list(chosen)] = 0
    return layer.grid.output(maps, copies)


def _shorter_way(job: Job, layer: Layer, output: Tensor) -> Run:
    """How the scores behind changed outputs are had: from one copy of the picture where that is the same."""
    runs = _count_runs(job, layer)

    def short(picture: Tensor, outputs: Tensor) -> Tensor:
        return _run(job, layer, picture, outputs, runs)

    def long(picture: Tensor, outputs: Tensor) -> Tensor:
        return _run(job, layer, picture.expand(len(outputs), *picture.shape[1:]), outputs, runs)

    some = range(min(2, layer.grid.maps(output).shape[1]))
    expected = long(job.inputs[:1], _ablated(layer, output, some))
    try:
        found = short(job.inputs[:1], _ablated(layer, output, some))
    except Exception:  # a network that joins the layer with what comes from elsewhere fails in its own way
        return long
    return short if bool((found - expected).abs().max() <= AGREE * expected.abs().max()) else long


def _run(job: Job, layer: Layer, pictures: Tensor, outputs: Tensor, runs: int) -> Tensor:
    """Logits of a pass in which the layer, at its last run, answers with `outputs`."""
    module = bare(job.model.module)
    left = runs

    def answer(_module: Any, _inputs: Any, output: Any) -> Any:
        nonlocal left
        left -= 1
        return with_tensor(output, outputs) if left == 0 else None

    with evaluating(module), torch.no_grad(), _hooked(module, layer, answer):
        return job.model.read_output(module(pictures), len(outputs)).detach()


def _count_runs(job: Job, layer: Layer) -> int:
    module = bare(job.model.module)
    ran: list[None] = []
    with evaluating(module), torch.no_grad(), _hooked(module, layer, lambda *_: ran.append(None)):
        module(job.inputs[:1])
    return len(ran)


@contextmanager
def _hooked(module: nn.Module, layer: Layer, hook: Callable[..., Any]) -> Iterator[None]:
    handle = dict(module.named_modules())[layer.name].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
