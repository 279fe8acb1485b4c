"""How alike the features of an image and of its transformed copy are, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opsin.explanation.inside.features import Pooling, read_layers
from opsin.explanation.inside.stream import Batch, Stream
from opsin.explanation.inside.transforms import transform
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier

BATCH = 16  # the features of all layers and places of so many images are held at a time


@dataclass(frozen=True)
class Likeness:
    """Mean cosines of centred features of one layer, averaged over places (`pooled`) and place by place: per transform
    float64 `(transforms,)`, and between different images; `pooled_spread` is the root mean square of the pooled ones
    of these."""

    pooled: np.ndarray
    by_place: np.ndarray
    pooled_control: float
    control: float
    pooled_spread: float


def measure_likeness(
    model: Classifier, stream: Stream, positions: np.ndarray, layers: Sequence[str],
    transforms: Sequence[tuple[str, float]], progress: Progress | None = None,
) -> dict[str, Likeness]:  # fmt: skip
    """The likeness of images and their transformed copies at each layer.

    Features are centred by their mean over the untransformed images: what all images share is no likeness. The images
    pass twice in small batches, so that whole layers of many images are never held.
    """
    centres = _centres(model, stream, positions, layers)
    # sums of cosines per layer, kind of features and transform
    sums = {name: np.zeros((2, len(transforms))) for name in layers}
    pooled: dict[str, list[Tensor]] = {name: [] for name in layers}
    places: dict[str, Tensor] = {}
    count = 0
    for batch in stream.batches(positions, BATCH):
        own = _units(model, batch.inputs, layers, centres)
        for name, (averaged, whole) in own.items():
            pooled[name].append(averaged)
            total = whole.sum(dim=0, dtype=torch.float64)
            places[name] = places[name] + total if name in places else total
        for at, (kind, amount) in enumerate(transforms):
            other = _units(model, _transformed(model, batch, kind, amount, count), layers, centres)
            for name in layers:
                cosines = [float((a * b).sum()) for a, b in zip(own[name], other[name], strict=True)]
                sums[name][:, at] += cosines
        count += len(batch.positions)
        if progress is not None:
            progress("transforming", count, len(positions))
    return {name: _finish(sums[name] / count, torch.cat(pooled[name]), places[name]) for name in layers}


def _finish(means: np.ndarray, pooled: Tensor, places: Tensor) -> Likeness:
    """The controls from the pooled unit vectors, and from the sum of the unpooled ones."""
    count = len(pooled)
    pairs = count * (count - 1)
    cosines = pooled.double() @ pooled.double().T
    cosines.fill_diagonal_(0)
    # |sum of n unit vectors|^2 = n + the cosines of all ordered pairs
    control = (float(places @ places) - count) / pairs
    return Likeness(
        means[0], means[1], float(cosines.sum()) / pairs, control, (float((cosines**2).sum()) / pairs) ** 0.5
    )


def _transformed(model: Classifier, batch: Batch, kind: str, amount: float, first: int) -> Tensor:
    assert batch.pixels is not None
    assert model.preprocess is not None
    return model.inputs(model.preprocess.normalise(transform(batch.pixels, kind, amount, first)))[0]


def _centres(
    model: Classifier, stream: Stream, positions: np.ndarray, layers: Sequence[str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """The mean pooled and unpooled features of each layer."""
    sums: dict[str, list[Tensor]] = {}
    count = 0
    for batch in stream.batches(positions, BATCH):
        count += len(batch.positions)
        for name, pair in _features(model, batch.inputs, layers).items():
            totals = [part.sum(dim=0, dtype=torch.float64) for part in pair]
            sums[name] = totals if name not in sums else [a + b for a, b in zip(sums[name], totals, strict=True)]
    return {name: ((pooled / count).float(), (places / count).float()) for name, (pooled, places) in sums.items()}


def _units(
    model: Classifier, inputs: Tensor, layers: Sequence[str], centres: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, list[Tensor]]:
    """Centred features of length 1; of an image that is exactly the mean, zeros: it is like nothing."""
    found = {}
    for name, pair in _features(model, inputs, layers).items():
        centred = [part - centre for part, centre in zip(pair, centres[name], strict=True)]
        found[name] = [part / part.norm(dim=1, keepdim=True).clamp(min=1e-12) for part in centred]
    return found


def _features(model: Classifier, inputs: Tensor, layers: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Per layer float32 `(n, f)`: averaged over places, and all there is."""
    pooling = Pooling(model, (inputs.shape[-2], inputs.shape[-1]))

    def read(name: str, output: Tensor) -> tuple[Tensor, Tensor]:
        # a copy: what follows the layer may change its output in place
        return pooling(name, output).clone(), output.flatten(1).float().clone()

    return read_layers(model, inputs, layers, read)
