"""CAMs that need no gradient: the read-out of a pooled linear head, and the first principal component."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.explanation.job import Answer, Job, enlarge
from opsin.explanation.layers import Layer
from opsin.explanation.targets import Targets
from opsin.models.weights import bare

TOLERANCE = 1e-3  # of the largest score, within which the read-out of the maps' means must be the scores


def cam(job: Job, *, relu: bool = True) -> Answer:
    """Class activation mapping (Zhou et al. 2016): the last layer's weights of the class, applied at every place.

    Only for networks whose score is the mean over the layer's places followed by one linear layer. That this is so is
    checked on the images themselves: the maps' means must add up to the logits.

    Raises:
        OpsinError: the network has no such head.
    """

    def read(activations: Tensor, head: nn.Linear, targets: Targets) -> Tensor:
        weights = head.weight.detach().float()
        chosen = weights[targets.classes.to(weights.device)]
        if targets.against is not None:
            chosen = chosen - weights[targets.against.to(weights.device)]
        signed = torch.einsum("ntc,nchw->nthw", chosen, activations)
        return signed.relu() if relu else signed

    return _read_out(job, "cam", read)


def softmax_cam(job: Job) -> Answer:
    """The network's head as a classifier of every place by itself, as Long et al. 2015 turn a classifier into a
    convolutional one: the class's probability there, 0 to 1. A place that speaks for the class, but more for another
    one, drops out, which CAM leaves standing.

    For the same networks as `cam`. Against another class it is the probability of the first among the two.

    Raises:
        OpsinError: the network has no such head.
    """
    return _read_out(job, "softmax_cam", _probabilities)


Read = Callable[[Tensor, nn.Linear, Targets], Tensor]
"""Activations `(n, c, h, w)`, the head and the targets to maps `(n, t, h, w)`."""


def _read_out(job: Job, name: str, read: Read) -> Answer:
    module = bare(job.model.module)
    heads = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if not heads:
        raise _no_pooled_head(job, name, "it has no linear layer")
    split = job.split
    logits = split.logits.detach()
    targets = job.resolve(logits)
    maps = []
    for layer in job.layers:
        activations = layer.grid.maps(split.outputs[layer.name].detach()).float()
        _check_pooled(job, name, layer, activations, heads[-1], logits)
        maps.append(enlarge(read(activations, heads[-1], targets), job.size))
    return Answer(maps, targets, evaluations=1)


def _probabilities(activations: Tensor, head: nn.Linear, targets: Targets) -> Tensor:
    """float32 `(n, t, h, w)`: the target's probability at each place alone; against another class, of the first among
    the two."""
    weights, bias = head.weight.detach().float(), head.bias
    scores = torch.einsum("kc,nchw->nkhw", weights, activations)
    if bias is not None:
        scores += bias.detach().float()[:, None, None]
    flat = scores.movedim(1, -1)  # (n, h, w, classes): a target's score is picked along the last axis
    classes = targets.classes.to(scores.device)[:, None, None].expand(*flat.shape[:-1], -1)
    if targets.against is None:
        return flat.softmax(dim=-1).gather(-1, classes).movedim(-1, 1)
    others = targets.against.to(scores.device)[:, None, None].expand(*flat.shape[:-1], -1)
    return (flat.gather(-1, classes) - flat.gather(-1, others)).sigmoid().movedim(-1, 1)


def eigen_cam(job: Job, *, centre: bool = False) -> Answer:
    """Eigen-CAM (Muhammad and Yeasin 2020): activations projected on their first principal component, over channels.

    The same for every class. A singular vector has no sign of its own; it gets the one with which the map's sum is
    positive. `centre=True` takes each channel's mean away first.
    """
    split = job.split
    targets = job.resolve(split.logits.detach())
    maps = []
    for layer in job.layers:
        activations = layer.grid.maps(split.outputs[layer.name].detach()).float()
        flat = activations.flatten(2).transpose(1, 2)  # (n, places, channels)
        if centre:
            flat = flat - flat.mean(dim=1, keepdim=True)
        projected = _first_projection(flat)
        sign = torch.where(projected.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
        one = (projected * sign).reshape(len(flat), 1, *activations.shape[-2:]).relu()
        maps.append(enlarge(one, job.size).expand(-1, targets.count, -1, -1))
    return Answer(maps, targets, evaluations=1)


def _first_projection(rows: Tensor) -> Tensor:
    """`(n, places)`: the rows `(n, places, channels)` projected on their first right singular vector, up to its sign.

    That is the first left singular vector times its singular value, which the eigenvectors of the smaller of the two
    products of the matrix with itself give too, at a fraction of the cost.
    """
    exact = rows.double()
    places, channels = rows.shape[1:]
    if places <= channels:
        values, vectors = torch.linalg.eigh(exact @ exact.transpose(1, 2))
        projected = vectors[..., -1] * values[:, -1:].clamp(min=0).sqrt()
    else:
        _, vectors = torch.linalg.eigh(exact.transpose(1, 2) @ exact)
        projected = (exact @ vectors[..., -1:])[..., 0]
    return projected.to(rows.dtype)


def _check_pooled(job: Job, name: str, layer: Layer, activations: Tensor, head: nn.Linear, logits: Tensor) -> None:
    pooled = activations.mean(dim=(-2, -1))
    if head.in_features != pooled.shape[1]:
        raise _no_pooled_head(job, name, f"its last linear layer does not take the channels of {layer.name}")
    if head.out_features != logits.shape[1]:
        raise _no_pooled_head(job, name, "its last linear layer does not give the scores")
    bias = None if head.bias is None else head.bias.detach().float()
    apart = (F.linear(pooled, head.weight.detach().float(), bias) - logits.float()).abs().max()
    tolerance = max(TOLERANCE, 4 * torch.finfo(logits.dtype).eps)
    if apart > tolerance * max(float(logits.abs().max()), 1e-12):
        raise _no_pooled_head(job, name, f"its last linear layer takes something else than the mean of {layer.name}")


def _no_pooled_head(job: Job, name: str, why: str) -> OpsinError:
    return OpsinError(
        f"{name} needs a network that averages the last maps and reads them with one linear layer, and "
        f"{job.model.label} is none: {why}; use grad_cam, which needs no such head"
    )
