"""Where the evidence for a class gathers: maps of a class's images against images of other classes."""

from __future__ import annotations

import numpy as np
import torch

from opsin.evidence.shortcuts.images import Images, Network
from opsin.explanation.gradient.input_gradients import input_gradients
from opsin.explanation.job import Job
from opsin.explanation.targets import Targets
from opsin.inference.answers import batch_size

POINTS = 4  # of the quadrature along each line


def class_maps(network: Network, images: Images, rows: np.ndarray, label: int) -> np.ndarray:
    """float32 `(n, h, w)`: what each place of the images `rows` adds to the score of their class, compared with an
    image of another class.

    Integrated gradients (Sundararajan et al. 2017) of the difference of the two classes' logits, along the line from an
    image of another class, as expected gradients (Erion et al. 2021, Improving performance of deep learning models
    with axiomatic attribution priors and expected gradients) have it: no place is without evidence because it has the
    colour of an artificial baseline.
    """
    partners = np.resize(images.others(label, len(rows)), len(rows))
    points, weights = np.polynomial.legendre.leggauss(POINTS)
    step = max(1, batch_size(images.pixels[0].size) // 4)  # gradients take several times the memory
    maps = []
    for start in range(0, len(rows), step):
        own, other = rows[start : start + step], partners[start : start + step]
        inputs = _inputs(network, images.pixels[own])
        begin = _inputs(network, images.pixels[other])
        targets = Targets(torch.full((len(own), 1), label), torch.from_numpy(images.labels[other])[:, None])
        job = Job(network.model, inputs, lambda _, targets=targets: targets, [])
        total = torch.zeros_like(inputs)
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            total += float(weight) * input_gradients(job, begin + float(point) * (inputs - begin), targets)[0][:, 0]
        maps.append((total * (inputs - begin)).sum(dim=1).float().cpu().numpy())
    return np.concatenate(maps)


def _inputs(network: Network, pixels: np.ndarray) -> torch.Tensor:
    return network.preprocess.normalise(pixels).to(network.model.device)
