"""Choosing the layer that is looked at, and checking one that was named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.explanation.grids import Grid, find_grid, prefix_tokens
from opsin.explanation.known import remembered
from opsin.explanation.split import first_tensor, normal_mode, run_module, split_pass
from opsin.explanation.targets import Targets
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare

# The layer before a pool has the same evidence on a finer grid.
_POOLS = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d, nn.FractionalMaxPool2d,
)  # fmt: skip
# What these give is the output of the layer before, or (softmax) weights of attention, whose axes are no picture.
_PASSED_OVER = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten, nn.Unflatten, nn.Softmax)


@dataclass(frozen=True)
class Layer:
    """A layer with places: its name in `named_modules()` and how its output lies on the picture."""

    name: str
    grid: Grid


def spatial_layers(model: Classifier, inputs: Tensor) -> list[Layer]:
    """Every module whose output has places of the picture, in the order in which they end, pools left out."""
    module = bare(model.module)
    size = (inputs.shape[-2], inputs.shape[-1])
    prefix = prefix_tokens(module)
    seen: dict[str, tuple[Grid, int]] = {}
    pooled: set[int] = set()
    alive: list[Tensor] = []  # outputs are kept during the pass, so that an address means one tensor
    handles = []

    def note(name: str, part: nn.Module) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found = first_tensor(output)
            if found is None or len(found) != len(inputs):
                return
            alive.append(found)
            grid = find_grid(found, size, prefix)
            seen.pop(name, None)  # a reused module counts where it ran last
            if isinstance(part, _POOLS):
                pooled.add(found.data_ptr())
            elif grid is not None and name and not isinstance(part, _PASSED_OVER):
                seen[name] = (grid, found.data_ptr())

        return hook

    try:
        handles = [part.register_forward_hook(note(name, part)) for name, part in module.named_modules()]
        with evaluating(module), normal_mode(), torch.no_grad():
            run_module(model, module, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [Layer(name, grid) for name, (grid, address) in seen.items() if address not in pooled]


def choose_layer(model: Classifier, inputs: Tensor) -> Layer:
    """The last layer with places on which the score depends at more than a class token.

    In a CNN that is the last stage of convolutions before pooling (Selvaraju et al. 2017 use the last convolutional
    layer); in a vision transformer with a class token the normalisation before the last attention, since behind it the
    patches no longer reach the score.

    Raises:
        OpsinError: the network has no such layer.
    """
    one = inputs[:1]
    layers = spatial_layers(model, one)
    named = dict(bare(model.module).named_modules())
    if any(layer.grid.kind == "tokens" for layer in layers):
        # inside a block there are outputs of queries, keys and hidden widths: the normalisations stand between blocks
        layers = [
            layer for layer in layers if layer.grid.kind != "tokens" or isinstance(named[layer.name], nn.LayerNorm)
        ]
    for layer in reversed(layers):
        if layer.grid.kind != "tokens" or _reaches_patches(model, one, layer):
            return layer
    raise OpsinError(
        f"{model.label} has no layer with places of the picture, so a map of one cannot be drawn; use a gradient "
        "method such as integrated_gradients or a perturbation method such as occlusion"
    )


def find_layers(model: Classifier, inputs: Tensor, wanted: str | Sequence[str] | None) -> list[Layer]:
    """The layers to look at: those named, or the one that `choose_layer` takes.

    Raises:
        OpsinError: a layer does not exist (near names are offered), or its output has no places.
    """
    if wanted is None:
        return [remembered(model, inputs, "layer", lambda: choose_layer(model, inputs))]
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    return remembered(model, inputs, ("layers", *names), lambda: _named(model, inputs, names))


def _named(model: Classifier, inputs: Tensor, names: Sequence[str]) -> list[Layer]:
    module = bare(model.module)
    known = dict(module.named_modules())
    for name in names:
        if name not in known or not name:
            near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.0)
            raise OpsinError(f"there is no layer {name!r}; the nearest names are {', '.join(near)}")
    split = split_pass(model, inputs[:1], names)
    size = (inputs.shape[-2], inputs.shape[-1])
    found = []
    for name in names:
        grid = find_grid(split.outputs[name], size, prefix_tokens(module))
        if grid is None:
            raise OpsinError(
                f"the output of {name} has shape {tuple(split.outputs[name].shape)} and no places of the picture; "
                "choose a layer before pooling and flattening"
            )
        found.append(Layer(name, grid))
    return found


def _reaches_patches(model: Classifier, inputs: Tensor, layer: Layer) -> bool:
    split = split_pass(model, inputs, [layer.name])
    targets = Targets(split.logits.argmax(dim=1, keepdim=True).cpu())
    gradient = layer.grid.maps(split.gradients(layer.name, targets)[0])
    return bool(gradient.abs().sum() > 0)
