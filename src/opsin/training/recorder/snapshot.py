"""Taking one Snapshot: what the network looks like inside on the probe, and where its scores come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from opsin.models.classifier import evaluating
from opsin.records import Snapshot
from opsin.training.recorder.watch import Bounds, LayerInfo, outputs_of

VALUES_PER_LAYER = 65_536  # per image and layer: larger layers keep every k-th channel (the last picture keeps all)
FILTER_VALUES = 65_536  # per convolution; the first one is always kept whole


def kept_channels(layer: LayerInfo, whole: bool) -> np.ndarray:
    """Which channels of a layer are stored: all, or evenly spaced ones so that `VALUES_PER_LAYER` is not exceeded."""
    channels = layer.shape[0]
    each = int(np.prod(layer.shape[1:], dtype=np.int64))
    room = channels if whole else max(1, min(channels, VALUES_PER_LAYER // max(each, 1)))
    return np.unique(np.linspace(0, channels - 1, room).round().astype(np.int64))


def take_snapshot(
    module: nn.Module,
    inputs: torch.Tensor,
    labels: torch.Tensor | None,
    layers: Sequence[LayerInfo],
    step: int,
) -> Snapshot:
    """Run the probe through the network once, and back from two scores to every recorded layer.

    `inputs` is float `(n, c, h, w)` on the network's device, `labels` int64 `(n,)` or None (then only the predicted
    class's gradients are taken). Parameters get no gradients, the mode of every submodule is restored and no hook
    stays. Scores are logits, before softmax.
    """
    names = [layer.name for layer in layers]
    with (
        evaluating(module),
        torch.enable_grad(),
        outputs_of(module, names) as outputs,
        Bounds(module) as bounds,
    ):
        # The input asks for gradients so that a network of frozen weights still has a graph to walk.
        logits = module(inputs.detach().clone().requires_grad_(True))
        present = [name for name in names if name in outputs and outputs[name].requires_grad]
        targets = {"gradients_predicted": logits.detach().argmax(dim=1)}
        if labels is not None:
            targets["gradients_label"] = labels.to(logits.device)
        gradients = _gradients(logits, targets, [outputs[name] for name in present], present)
    last_picture = max((i for i, layer in enumerate(layers) if len(layer.shape) == 3), default=-1)
    channels = {layer.name: kept_channels(layer, position == last_picture) for position, layer in enumerate(layers)}
    filters, filter_channels = _filters(module)

    def thin(values: torch.Tensor, name: str) -> np.ndarray:
        return values.detach().float().cpu().numpy()[:, channels[name]]

    return Snapshot(
        step=step,
        probabilities=logits.detach().float().softmax(dim=1).cpu().numpy(),
        activations={name: thin(outputs[name], name) for name in names if name in outputs},
        channels={name: channels[name] for name in names if name in outputs},
        gradients_label={name: thin(g, name) for name, g in gradients.get("gradients_label", {}).items()},
        gradients_predicted={name: thin(g, name) for name, g in gradients["gradients_predicted"].items()},
        filters=filters,
        filter_channels=filter_channels,
        alive={name: mask.cpu().numpy() for name, mask in bounds.alive.items()},
        saturated={name: mask.cpu().numpy() for name, mask in bounds.saturated.items()},
    )


def _gradients(
    logits: torch.Tensor, targets: dict[str, torch.Tensor], outputs: list[torch.Tensor], names: list[str]
) -> dict[str, dict[str, torch.Tensor]]:
    """Per target and layer: d logit / d output, one row per image (images do not mix in evaluation mode)."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for position, (key, classes) in enumerate(targets.items()):
        score = logits.gather(1, classes[:, None]).sum()
        last = position == len(targets) - 1
        grads = torch.autograd.grad(score, outputs, retain_graph=not last, allow_unused=True) if outputs else ()
        found[key] = {name: grad for name, grad in zip(names, grads, strict=True) if grad is not None}
    return found


def _filters(module: nn.Module) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The weights of every convolution; those behind the first are capped at `FILTER_VALUES`."""
    filters, kept = {}, {}
    for name, part in module.named_modules():
        if not isinstance(part, nn.Conv2d):
            continue
        weight = part.weight.detach().float().cpu().numpy()
        each = int(np.prod(weight.shape[1:]))
        room = len(weight) if not filters else max(1, min(len(weight), FILTER_VALUES // each))
        rows = np.unique(np.linspace(0, len(weight) - 1, room).round().astype(np.int64))
        filters[name], kept[name] = weight[rows], rows
    return filters, kept
