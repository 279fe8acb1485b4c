"""Running the gradient CAMs: one pass to the layer and back to it, then a formula of `weighting`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from opsin.explanation.cam import weighting
from opsin.explanation.job import Answer, Job, enlarge

Formula = Callable[[Tensor, Tensor], Tensor]


def grad_cam(job: Job, *, relu: bool = True) -> Answer:
    """Grad-CAM (Selvaraju et al. 2017). `relu=False` keeps what speaks against the class."""
    return _weighted(job, weighting.grad_cam, relu)


def grad_cam_pp(job: Job, *, relu: bool = True) -> Answer:
    """Grad-CAM++ (Chattopadhay et al. 2018)."""
    return _weighted(job, weighting.grad_cam_pp, relu)


def hires_cam(job: Job, *, relu: bool = True) -> Answer:
    """HiResCAM (Draelos and Carin 2020)."""
    return _weighted(job, weighting.hires_cam, relu)


def layer_cam(job: Job, *, relu: bool = True) -> Answer:
    """LayerCAM (Jiang et al. 2021)."""
    return _weighted(job, weighting.layer_cam, relu)


def xgrad_cam(job: Job, *, relu: bool = True) -> Answer:
    """XGrad-CAM (Fu et al. 2020)."""
    return _weighted(job, weighting.xgrad_cam, relu)


def _weighted(job: Job, formula: Formula, relu: bool) -> Answer:
    split = job.split
    targets = job.resolve(split.logits.detach())
    maps = []
    for layer in job.layers:
        activations = layer.grid.maps(split.outputs[layer.name].detach()).float()
        gradients = split.gradients(layer.name, targets)
        signed = torch.stack([formula(activations, layer.grid.maps(one).float()) for one in gradients], dim=1)
        maps.append(enlarge(signed.relu() if relu else signed, job.size))
    return Answer(maps, targets, evaluations=1 + targets.count)
