"""One channel of a layer: its filter, what it answers, what excites it most, and the picture that would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from opsin.errors import CheckFailed, OpsinError
from opsin.explanation.grids import find_grid, prefix_tokens
from opsin.explanation.inside import dream as dream_of
from opsin.explanation.inside import top_images as find_top_images
from opsin.explanation.inside.features import read_layers
from opsin.explanation.inside.parts import require_layers, require_module
from opsin.explanation.inside.stream import drawn, open_stream
from opsin.explanation.known import remembered
from opsin.explanation.layers import spatial_layers
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier
from opsin.models.weights import bare
from opsin.reporting.views.quantised import shrink
from opsin.reporting.views.subject import Subject

BINS = 48
PIXELS = 2**20  # of images that are looked at at once: 256 to 16 of them
MOST_LOOKED, FEWEST_LOOKED = 256, 16
QUICK_PIXELS = 2**22  # of a run's validation images, up to which looking through all of them is quick
QUICK_DREAM = 64**2  # pixels of a picture, up to which making one takes seconds at most
FRAMES = 24
TOP = 9
SEED = 0


@dataclass(frozen=True)
class Looked:
    """Inputs of some images in batches, their labels int64 `(n,)` or None, and which images they are."""

    batches: list[Tensor]
    labels: np.ndarray | None
    source: str

    @property
    def count(self) -> int:
        return sum(len(batch) for batch in self.batches)


def channel(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    layer: str | None = None,
    channel: int = 0,
) -> dict[str, Any]:
    """A channel on a few images.

    Args:
        layer: by its name in `named_modules()`; None: the last one with places.
        channel: of it; of a layer without places, a feature.

    Returns:
        layer, kind, channel, `channels` of the layer, rows and columns of its maps (0 where it has no places);
        `layers`: name, kind, channels, rows, columns of those to choose from; `filter` float32 `(in, kh, kw)` and
        `filter_inputs` [first, last], or None; `source` (validation, probe or example) and `images`: what was looked
        at; `counts` int32, `low`, `high`: a histogram of the values that are not exactly zero; `zeros`: the share that
        is; mean, smallest, largest; `class_means` float32 `(classes,)`, NaN without images, and `class_counts` int32,
        or None: mean over places of max(activation, 0); `top`: None, or how many validation images `top_images` would
        look through, and `quick`: whether that is soon done; `quick_dream`: whether `dream` is.
    """
    model = require_module(subject.model, "channel")
    looked = _looked(subject, model)
    layers = remembered(model, looked.batches[0], "channels of layers", lambda: _layers(model, looked.batches[0][:1]))
    if layer is None and not layers:
        raise OpsinError(f"{model.label} has no layer with places; name a layer")
    name = layers[-1]["name"] if layer is None else layer
    if name not in dict(bare(model.module).named_modules()):
        raise OpsinError(
            f"{name} is no module of {model.label} but an operation between them; choose one of its layers"
        )
    values, shape = _values(model, looked, name, channel)
    part = bare(model.module).get_submodule(name)
    return {
        "layer": name,
        "kind": type(part).__name__,
        "channel": channel,
        "channels": shape[0],
        "rows": shape[1],
        "columns": shape[2],
        "layers": layers,
        **_filter(part, channel),
        "source": looked.source,
        "images": looked.count,
        **_histogram(values),
        **_class_means(values, looked.labels, len(subject.classes)),
        "top": _top(subject, model),
        "quick_dream": model.size is not None and model.size[0] * model.size[1] <= QUICK_DREAM,
    }


def top_images(subject: Subject, *, progress: Progress, layer: str, channel: int, top: int = TOP) -> dict[str, Any]:
    """The validation images of the run that excite a channel most.

    Returns:
        ids; names; `values` float32 `(k,)`; `crops` uint8 `(k, h, w, 3)`: the receptive fields; `places` int32
        `(k, 2)`: row and column in the layer's maps; `boxes` int32 `(k, 4)`: top, left, bottom, right of the fields in
        the input of `size` [height, width]; field (local or structural) and what a local one ignores; dead; images,
        copies; `class_means` float32, `selectivity`, `preferred` (a class), `p_value` (of this channel alone) and
        `selective`, or None without labels; notes.

    Raises:
        OpsinError: there is no run whose images could be looked through, or no such channel.
    """
    subject.need_run()
    data = subject.data
    found = find_top_images(subject.model, data.validation, layer, channels=[channel], top=top, progress=progress)
    at = {data.names[index]: position for position, index in enumerate(data.validation.indices.tolist())}
    kept = found.positions[0] >= 0
    names = [found.names[position] for position in found.positions[0][kept].tolist()]
    classes: dict[str, Any] = {}
    if found.class_means is not None and found.selectivity is not None:
        assert found.preferred is not None
        assert found.p_values is not None
        classes = {
            "class_means": found.class_means[0],
            "selectivity": found.selectivity[0],
            "preferred": found.preferred[0],
            "p_value": found.p_values[0],
            "selective": bool(found.selective[0]),
        }
    return {
        "ids": [f"validation/{at[name]}" for name in names],
        "names": names,
        "values": found.values[0][kept],
        "crops": found.crops[0][kept],
        "places": found.places[0][kept],
        "boxes": found.boxes[0][kept],
        "size": found.size,
        "field": found.field,
        "ignored": found.ignored,
        "dead": channel in found.dead,
        "images": found.images,
        "copies": found.copies,
        **{"class_means": None, "selectivity": None, "preferred": None, "p_value": None, "selective": False, **classes},
        "notes": found.notes,
    }


def dream(
    subject: Subject,
    *,
    progress: Progress,
    layer: str | None = None,
    channel: int | None = None,
    target: int | None = None,
    seed: int = 0,
    steps: int = 256,
) -> dict[str, Any]:
    """The picture that excites a channel, or the score of a class, most, and how it came about.

    Args:
        layer, channel: the channel; or
        target: the class.
        seed: of the first picture and the views: optimised pictures vary.
        steps: of the optimiser.

    Returns:
        `frames` uint8 `(f, h, w, c)`, `steps` int32 `(f,)` after which each was taken; `activations` float32 `(m,)`
        before each step; `final`; `noise` and `real` float32: what random pictures and the probe's images reach (real
        None where there are none); label; seconds; seed; options; notes.
    """
    found = dream_of(
        subject.model, target, layer, channel=channel, steps=steps, frames=FRAMES, seed=seed, progress=progress
    )
    return {
        "frames": np.stack([shrink(frame) for frame in found.frames[0]]),
        "steps": found.steps,
        "activations": found.activations[0],
        "final": found.final[0],
        "noise": found.noise[0],
        "real": None if found.real is None else found.real[0],
        "label": found.labels[0],
        "seconds": found.seconds,
        "seed": found.seed,
        "options": found.options,
        "notes": found.notes,
    }


def _looked(subject: Subject, model: Classifier) -> Looked:
    """Validation images of the run, or else its probe, or else the photographs that packages ship."""
    try:
        stream = open_stream(model, subject.data.validation)
    except OpsinError:
        group = "example" if subject.run is None else "probe"
        ids = [f"{group}/{at}" for at in range(min(subject.images.groups().get(group, 0), FEWEST_LOOKED))]
        if not ids:
            raise
        labels = np.array([-1 if item.label is None else item.label for item in subject.seen(ids)])
        return Looked([subject.inputs(ids)], labels if (labels >= 0).all() else None, group)
    first = stream.read(np.arange(1)).inputs
    most = int(np.clip(PIXELS // max(first[0, 0].numel(), 1), FEWEST_LOOKED, MOST_LOOKED))
    chosen = drawn(len(stream), most, SEED)
    batches = list(stream.batches(chosen))
    kept = np.concatenate([batch.positions for batch in batches])
    return Looked(
        [batch.inputs for batch in batches], None if stream.labels is None else stream.labels[kept], "validation"
    )


def _values(model: Classifier, looked: Looked, layer: str, channel: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """float32 `(n, places)`: the channel's values, and channels, rows and columns of the layer."""
    require_layers(bare(model.module), layer)
    size = (looked.batches[0].shape[-2], looked.batches[0].shape[-1])
    parts, shape = [], (0, 0, 0)
    for batch in looked.batches:
        maps = read_layers(model, batch, [layer], lambda name, output: _maps(model, size, name, output))[layer]
        shape = (maps.shape[1], maps.shape[2] if maps.ndim == 4 else 0, maps.shape[3] if maps.ndim == 4 else 0)
        if not 0 <= channel < shape[0]:
            raise OpsinError(f"channel {channel} of {layer} was asked for; expected 0 to {shape[0] - 1}")
        parts.append(maps[:, channel].reshape(len(maps), -1).float().cpu().numpy().copy())
    values = np.concatenate(parts)
    if not np.isfinite(values).all():
        raise CheckFailed(f"{layer} gives values that are not finite; the weights are damaged, or training diverged")
    return values, shape


def _maps(model: Classifier, size: tuple[int, int], layer: str, output: Tensor) -> Tensor:
    """`(n, c, h, w)`, or `(n, f)` of a layer without places."""
    if output.ndim == 2 or (output.ndim == 4 and output.shape[2] * output.shape[3] == 1):
        return output.flatten(1)
    grid = find_grid(output, size, prefix_tokens(bare(model.module)))
    if grid is None:
        raise OpsinError(f"{layer} gives a tensor of shape {tuple(output.shape)}, no channels; choose another layer")
    return grid.maps(output)


def _layers(model: Classifier, one: Tensor) -> list[dict[str, Any]]:
    """The layers with places: name, kind, channels, rows, columns."""
    found = {layer.name: layer.grid for layer in spatial_layers(model, one)}
    shapes = read_layers(model, one, list(found), lambda name, output: tuple(found[name].maps(output).shape[1:]))
    modules = dict(bare(model.module).named_modules())
    return [
        {
            "name": name,
            "kind": type(modules[name]).__name__,
            "channels": shape[0],
            "rows": shape[1],
            "columns": shape[2],
        }
        for name, shape in shapes.items()
    ]


def _filter(part: nn.Module, channel: int) -> dict[str, Any]:
    """The weights of one output of a convolution or a linear layer, and which inputs they are for."""
    if isinstance(part, nn.Conv2d):
        weights = part.weight.detach()[channel]
        first = channel // (part.out_channels // part.groups) * weights.shape[0]
    elif isinstance(part, nn.Linear):
        weights, first = part.weight.detach()[channel][:, None, None], 0
    else:
        return {"filter": None, "filter_inputs": None, "bias": None}
    bias = None if part.bias is None else float(part.bias.detach()[channel])
    return {
        "filter": weights.float().cpu().numpy(),
        "filter_inputs": [first, first + len(weights) - 1],
        "bias": bias,
    }


def _histogram(values: np.ndarray) -> dict[str, Any]:
    others = values[values != 0]
    low, high = (float(others.min()), float(others.max())) if others.size else (0.0, 0.0)
    counts, _ = np.histogram(others, BINS, (low, high if high > low else low + 1))
    return {
        "counts": counts,
        "low": low,
        "high": high,
        "zeros": float((values == 0).mean()),
        "mean": float(values.mean()),
        "smallest": float(values.min()),
        "largest": float(values.max()),
    }


def _class_means(values: np.ndarray, labels: np.ndarray | None, classes: int) -> dict[str, Any]:
    if labels is None or not classes:
        return {"class_means": None, "class_counts": None}
    activity = np.maximum(values, 0).mean(axis=1)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, activity, minlength=classes)
    means = np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0)
    return {"class_means": means.astype(np.float32), "class_counts": counts}


def _top(subject: Subject, model: Classifier) -> dict[str, Any] | None:
    try:
        count = len(subject.data.validation)
    except OpsinError:
        return None
    size = model.size or (0, 0)
    return {"images": count, "quick": count * size[0] * size[1] <= QUICK_PIXELS} if count else None
