"""Score-CAM: channels of a layer, weighted by the score of the picture seen through them."""

from __future__ import annotations

import torch
from torch import Tensor

from opsin.explanation.job import Answer, Job, enlarge
from opsin.explanation.perturbation.scoring import Build, open_scorer


def score_cam(job: Job, *, relu: bool = True, output: str = "logits", engine: str = "auto") -> Answer:
    """Score-CAM (Wang et al. 2020, algorithm 1): each channel is enlarged to the input, scaled to 0..1 and multiplied
    with the picture; the softmax over the channels of the scores of these pictures weights the channels.

    The baseline of equation 5 there adds one number to all scores and drops out of the softmax. A flat channel shows
    nothing: its mask is 0.

    Args:
        job: the images and layers.
        relu: clamp the map at zero.
        output: whether a score is a logit or a probability ("logits", "probabilities").
        engine: what runs the network: auto, eager, fused or onnxruntime.
    """
    split = job.split
    activations = [layer.grid.maps(split.outputs[layer.name].detach()).float() for layer in job.layers]
    scorer = open_scorer(job, sum(item.shape[1] for item in activations), engine, output)
    maps = []
    for channels in activations:
        scores = scorer.table(channels.shape[1], _masking(job, channels))
        weights = scores.softmax(dim=1)
        signed = torch.einsum("nct,nchw->nthw", weights, channels)
        maps.append(enlarge(signed.relu() if relu else signed, job.size))
    evaluations = sum(item.shape[1] for item in activations) + 1 + scorer.overhead
    return Answer(maps, scorer.targets, evaluations, used=scorer.used)


def _masking(job: Job, channels: Tensor) -> Build:
    def build(image: Tensor, variant: Tensor) -> Tensor:
        masks = enlarge(channels[image, variant][:, None], job.size)
        low, high = masks.amin(dim=(-2, -1), keepdim=True), masks.amax(dim=(-2, -1), keepdim=True)
        spread = torch.where(high > low, high - low, torch.ones_like(high))
        return job.inputs[image] * ((masks - low) / spread).to(job.inputs.dtype)

    return build
