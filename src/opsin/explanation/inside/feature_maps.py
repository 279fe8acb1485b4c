"""`opsin.inside.feature_maps`: what the layers of a network answer to some images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.explanation.explain import as_classifier, open_inputs
from opsin.explanation.grids import find_grid, prefix_tokens
from opsin.explanation.inside.parts import PASSED_OVER, require_layers, require_module
from opsin.explanation.known import in_faster_layout
from opsin.explanation.split import first_tensor, normal_mode, run_module
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare
from opsin.records import FeatureMaps, LayerMaps

MOST_LAYERS = 12  # as the recorder of a training run keeps
MOST_BYTES = 4 * 1024**3
NO_SPREAD = 1e-6  # of the layer's range: weights that decayed to nothing leave rounding errors


def feature_maps(
    model: Classifier | str | Path | nn.Module,
    images: Any,
    layers: str | Sequence[str] | None = None,
    *,
    max_channels: int | None = None,
    batch_size: int = 32,
) -> FeatureMaps:
    """What the layers of a network answer to some images, each as feature maps with channels first.

    Nothing is left in the network: no hook, the mode of every module as it was, also after an error. An in-place
    operation behind a layer does not change what is returned. A module that runs several times is taken at its last
    run. Channels-last maps and tokens of transformers are recognised and turned into maps (class and register tokens
    are left out).

    Args:
        model: a Classifier, what `load_model` takes, or a module (images are then float tensors).
        images: paths, PIL images or uint8 arrays `(n, h, w, c)`, one or many, or a float tensor `(n, c, h, w)` that is
            already preprocessed.
        layers: names in `named_modules()`. None: every layer without parts of its own that answers with maps or a
            vector, in the order in which they run (dropout, flattening and the softmax of attention left out); where
            there are more than 12, an even selection of the convolutions (of the normalisations in a transformer),
            the last one with places and the last vector.
        max_channels: of a layer that are held, evenly spaced; ranges and dead channels count all of them. None: all.
        batch_size: images per pass.

    Returns:
        FeatureMaps; all of them are held in memory, and more than 4 GiB are refused.

    Raises:
        OpsinError: a layer does not exist, did not run or has no such output, or an argument is wrong.
    """
    classifier = require_module(as_classifier(model), "feature_maps")
    if batch_size < 1 or (max_channels is not None and max_channels < 1):
        raise OpsinError(
            f"batch_size={batch_size} and max_channels={max_channels} were given; expected at least 1 of each"
        )
    given = open_inputs(classifier, images)
    inputs = given.tensor
    module = bare(classifier.module)
    with normal_mode(), torch.no_grad():
        chosen = _choose(classifier, inputs[:1]) if layers is None else require_layers(module, layers)
        gathered = {name: _Gathered(name, type(module.get_submodule(name)).__name__) for name in chosen}
        for batch in inputs.split(batch_size):
            seen = _answers(classifier, in_faster_layout(classifier, batch), chosen, max_channels)
            for name, found in seen.items():
                gathered[name].add(found)
            _check_size(gathered.values(), len(inputs))
    return FeatureMaps(tuple(item.finish() for item in gathered.values()), given.names)


@dataclass(frozen=True)
class _Batch:
    """What one layer answered to a batch: the channels that are held, and figures over all of them."""

    maps: Tensor
    channels: np.ndarray
    lows: Tensor
    highs: Tensor
    zeros: int
    values: int


class _Gathered:
    """The answers of one layer, batch after batch."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.batches: list[_Batch] = []

    def add(self, batch: _Batch) -> None:
        if self.batches and self.batches[0].maps.shape[1:] != batch.maps.shape[1:]:
            raise OpsinError(
                f"{self.name} answered with maps of shape {tuple(batch.maps.shape[1:])} after "
                f"{tuple(self.batches[0].maps.shape[1:])}; give images of one size"
            )
        self.batches.append(batch)

    @property
    def bytes_per_image(self) -> int:
        return self.batches[0].maps[0].numel() * 4

    def finish(self) -> LayerMaps:
        low = torch.stack([batch.lows for batch in self.batches]).amin(dim=0)
        high = torch.stack([batch.highs for batch in self.batches]).amax(dim=0)
        values = sum(batch.values for batch in self.batches)
        nothing = NO_SPREAD * float(high.max() - low.min())
        constant = high - low <= nothing
        if values == len(low):  # one value per channel has no spread by nature
            constant &= low.abs() <= nothing
        return LayerMaps(
            self.name,
            self.kind,
            torch.cat([batch.maps for batch in self.batches]).numpy(),
            self.batches[0].channels,
            len(low),
            float(low.min()),
            float(high.max()),
            sum(batch.zeros for batch in self.batches) / values,
            torch.nonzero(constant).flatten().numpy(),
        )


def _answers(model: Classifier, inputs: Tensor, layers: Sequence[str], max_channels: int | None) -> dict[str, _Batch]:
    module = bare(model.module)
    size = (inputs.shape[-2], inputs.shape[-1])
    prefix = prefix_tokens(module)
    found: dict[str, _Batch] = {}

    def keep(name: str, output: Any) -> None:
        maps = _as_maps(first_tensor(output), size, prefix, len(inputs))
        if maps is None:
            raise OpsinError(
                f"{name} answered with {_describe(output)}; expected maps (n, c, h, w), tokens with places or a "
                "vector (n, f) per image: choose another layer"
            )
        found[name] = _copied(maps, max_channels)

    with _watching(module, layers, keep), evaluating(module):
        run_module(model, module, inputs)
    missing = [name for name in layers if name not in found]
    if missing:
        raise OpsinError(f"layer {missing[0]} did not run for this input; choose a layer that forward uses")
    return {name: found[name] for name in layers}


def _copied(maps: Tensor, max_channels: int | None) -> _Batch:
    width = maps.shape[1]
    channels = np.arange(width)
    if max_channels is not None and width > max_channels:
        channels = np.unique(np.linspace(0, width - 1, max_channels).round().astype(np.int64))
    per_channel = maps.transpose(0, 1).flatten(1)
    kept = maps if len(channels) == width else maps[:, torch.from_numpy(channels).to(maps.device)]
    # a copy in any case: what follows the layer may change its output in place
    copy = torch.empty(kept.shape, dtype=torch.float32).copy_(kept)
    return _Batch(
        copy,
        channels,
        per_channel.amin(dim=1).float().cpu(),
        per_channel.amax(dim=1).float().cpu(),
        int((per_channel == 0).sum()),
        per_channel.numel(),
    )


def _as_maps(output: Tensor | None, size: tuple[int, int], prefix: int | None, images: int) -> Tensor | None:
    """`(n, c, h, w)` or `(n, f)`, or None where the output is neither."""
    if output is None or len(output) != images or not output.numel() or output.is_complex():
        return None
    if output.ndim == 2:
        return output
    if output.ndim == 4 and output.shape[2:] == (1, 1):
        return output.flatten(1)  # behind global pooling: a single place is none
    grid = find_grid(output, size, prefix)
    return None if grid is None else grid.maps(output)


def _choose(model: Classifier, one: Tensor) -> list[str]:
    """What is shown when no layer was named (see `feature_maps`)."""
    module = bare(model.module)
    size = (one.shape[-2], one.shape[-1])
    prefix = prefix_tokens(module)
    shapes: dict[str, tuple[int, ...]] = {}
    leaves = [
        name
        for name, part in module.named_modules()
        if name and next(part.children(), None) is None and not isinstance(part, PASSED_OVER)
    ]

    def note(name: str, output: Any) -> None:
        maps = _as_maps(first_tensor(output), size, prefix, 1)
        shapes.pop(name, None)
        if maps is not None:
            shapes[name] = tuple(maps.shape[1:])

    with _watching(module, leaves, note), evaluating(module):
        run_module(model, module, one)
    if not shapes:
        raise OpsinError(f"{model.label} has no layer that answers with maps or a vector; name the layers to look at")
    return _evenly(module, shapes)


def _evenly(module: nn.Module, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    if len(shapes) <= MOST_LAYERS:
        return list(shapes)
    spatial = [name for name, shape in shapes.items() if len(shape) == 3]
    vectors = [name for name, shape in shapes.items() if len(shape) == 1]

    def of(*kinds: type[nn.Module]) -> list[str]:
        return [name for name in spatial if isinstance(module.get_submodule(name), kinds)]

    convolutions, norms = of(nn.Conv2d, nn.ConvTranspose2d), of(nn.LayerNorm)
    backbone = (norms if len(norms) > len(convolutions) else convolutions) or spatial or vectors
    room = min(MOST_LAYERS - 2, len(backbone))
    even = [backbone[at] for at in np.linspace(0, len(backbone) - 1, room).round().astype(int)]
    chosen = {*even, *spatial[-1:], *vectors[-1:]}
    return [name for name in shapes if name in chosen]


@contextlib.contextmanager
def _watching(module: nn.Module, layers: Sequence[str], note: Any) -> Iterator[None]:
    """`note(name, output)` is called whenever one of the layers has run. No hook stays."""
    handles = []
    try:
        for name in layers:
            part = module.get_submodule(name)
            handles.append(part.register_forward_hook(lambda _m, _i, output, name=name: note(name, output)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_size(gathered: Any, images: int) -> None:
    needed = sum(item.bytes_per_image for item in gathered) * images
    if needed > MOST_BYTES:
        raise OpsinError(
            f"the maps of {images:,} images would take {needed / 1024**3:.1f} GiB; give fewer images or layers, or "
            "max_channels"
        )


def _describe(output: Any) -> str:
    found = first_tensor(output)
    return f"a {type(output).__name__}" if found is None else f"a tensor of shape {tuple(found.shape)}"
