"""The engine `fused`: batch normalisation folded into the convolution before it, channels last."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from opsin.models.classifier import Classifier
from opsin.models.weights import bare

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Exact types: a subclass may do more, as timm's does, which activates too.
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, BatchNormAct2d)


@dataclass(frozen=True)
class Folded:
    """A folded copy of a network in evaluation mode; gradients pass through it to the input, never to weights."""

    network: nn.Module
    layout: torch.memory_format

    def __call__(self, batch: Tensor) -> object:
        return self.network(batch.contiguous(memory_format=self.layout))


def build(model: Classifier, inputs: Tensor) -> Folded:
    """A folded copy of the network. Whether it still answers the same is for the caller to see."""
    network = copy.deepcopy(bare(model.module)).eval().requires_grad_(False)
    for convolution, norm in _pairs(network, inputs[:1]):
        _fold(network, convolution, norm)
    layout = torch.channels_last if inputs.ndim == 4 else torch.channels_last_3d
    network.to(memory_format=layout)
    return Folded(network, layout)


def _pairs(network: nn.Module, inputs: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the normalisations that take their very output, where each runs once."""
    made: dict[int, str] = {}
    taken: list[tuple[str, str]] = []
    runs: dict[str, int] = {}
    alive: list[Tensor] = []  # so that an identity means one tensor

    def after(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            alive.append(output)
            made[id(output)] = name
            runs[name] = runs.get(name, 0) + 1

        return hook

    def before(name: str) -> Any:
        def hook(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            runs[name] = runs.get(name, 0) + 1
            if given and id(given[0]) in made:
                taken.append((made[id(given[0])], name))

        return hook

    handles = []
    try:
        for name, part in network.named_modules():
            if isinstance(part, _CONVOLUTIONS):
                handles.append(part.register_forward_hook(after(name)))
            elif type(part) in _NORMS and getattr(part, "running_mean", None) is not None:
                handles.append(part.register_forward_pre_hook(before(name)))
        with torch.no_grad():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in taken if runs[pair[0]] == 1 and runs[pair[1]] == 1]


def _fold(network: nn.Module, convolution: str, norm: str) -> None:
    modules: dict[str, Any] = dict(network.named_modules())
    conv, bn = modules[convolution], modules[norm]
    # in float64, so that folding itself adds no rounding
    numbers = [
        None if item is None else item.double()
        for item in (conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.weight, bn.bias)
    ]
    weight, bias = fuse_conv_bn_weights(*numbers[:4], bn.eps, *numbers[4:])  # type: ignore[arg-type]
    dtype = conv.weight.dtype
    conv.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    conv.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
    parent, _, child = norm.rpartition(".")
    rest: list[Any] = [bn.drop, bn.act] if type(bn) is BatchNormAct2d else []
    setattr(modules[parent], child, nn.Sequential(*rest))
