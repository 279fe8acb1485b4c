"""The engine `scratch`: a network's layers computed by `opsin.scratch`, forward and backward, with everything around
them (feed, loss, optimiser, recorder, checkpoints) as in every other training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.scratch import layers
from opsin.scratch.layer import Layer


def _conv2d(module: nn.Conv2d) -> Layer:
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise OpsinError(
            f"a convolution with padding={module.padding!r}, {module.padding_mode} was given; opsin.scratch pads with "
            "zeros by a number of pixels: use engine=torch"
        )
    sizes: Any = {name: getattr(module, name) for name in ("kernel_size", "stride", "padding", "dilation")}
    return layers.Conv2D(
        module.in_channels, module.out_channels, groups=module.groups, bias=module.bias is not None, **sizes
    )


def _pool(kind: type[layers.MaxPool2D]) -> Callable[[Any], Layer]:
    return lambda module: kind(module.kernel_size, module.stride, module.padding)


def _batch_norm(module: nn.BatchNorm2d) -> Layer:
    return layers.BatchNorm2D(module.num_features, module.eps, 0.1 if module.momentum is None else module.momentum)


HANDS: Mapping[type[nn.Module], Callable[[Any], Layer]] = {
    nn.Conv2d: _conv2d,
    nn.Linear: lambda module: layers.Linear(module.in_features, module.out_features, module.bias is not None),
    nn.MaxPool2d: _pool(layers.MaxPool2D),
    nn.AvgPool2d: _pool(layers.AvgPool2D),
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda _: layers.ReLU(),
    nn.Tanh: lambda _: layers.Tanh(),
    nn.Flatten: lambda _: layers.Flatten(),
    nn.Dropout: lambda module: layers.Dropout(module.p),
}
"""How each layer of PyTorch is made by hand."""
_NOTHING_TO_DO = (nn.Identity,)


@contextmanager
def by_hand(module: nn.Module) -> Iterator[None]:
    """Inside the block every layer of a network is computed by `opsin.scratch`, also its gradients; its weights stay
    where they are.

    Raises:
        OpsinError: a layer has no counterpart there.
    """
    leaves = [part for part in module.modules() if not list(part.children()) and not isinstance(part, _NOTHING_TO_DO)]
    for part in leaves:
        if type(part) not in HANDS:
            known = ", ".join(kind.__name__ for kind in HANDS)
            raise OpsinError(
                f"engine=scratch was asked for and the network has a layer {type(part).__name__}; expected only "
                f"{known}, as in lenet5 and seed_cnn"
            )
    hands = [(part, _Hand(part, HANDS[type(part)](part))) for part in leaves]
    try:
        for part, hand in hands:
            part.forward = hand
        yield
    finally:
        for part, _ in hands:
            part.__dict__.pop("forward", None)


class _Hand:
    """A layer's forward pass, by hand, with the numbers that the module holds at the moment."""

    def __init__(self, module: nn.Module, layer: Layer) -> None:
        self.module, self.layer = module, layer

    def __call__(self, x: Tensor) -> Tensor:
        # its own copy, because a layer remembers its last pass and two may be on their way at once
        layer = copy.copy(self.layer)
        layer.training = self.module.training
        for name in layer.kept:  # running statistics change in place, where PyTorch keeps them
            setattr(layer, name, getattr(self.module, name).numpy())
        if isinstance(layer, layers.Dropout):
            # PyTorch's generator decides, which a checkpoint restores
            layer = layers.Dropout(layer.p, seed=int(torch.randint(2**31, ()))).train(layer.training)
        learnt = [getattr(self.module, name) for name in layer.own("learnt")]
        return _Pass.apply(x, layer, *learnt)  # type: ignore[no-any-return]


class _Pass(torch.autograd.Function):
    """A pass through a layer of `opsin.scratch`, for PyTorch's chain rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Layer, *learnt: Tensor) -> Tensor:  # type: ignore[override]
        ctx.layer = layer
        for name, value in zip(layer.own("learnt"), learnt, strict=True):
            setattr(layer, name, value.detach().numpy())
        y = layer.forward(np.ascontiguousarray(x.detach().numpy()))
        # what only looks at the input (Flatten, Dropout in evaluation) must not be the input itself
        return torch.from_numpy(y.copy() if np.shares_memory(y, x.detach().numpy()) else y)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        grad = ctx.layer.backward(np.ascontiguousarray(grad_output.numpy()))
        learnt = (torch.from_numpy(ctx.layer.grads[name]) for name in ctx.layer.own("learnt"))
        return torch.from_numpy(np.ascontiguousarray(grad)), None, *learnt
