"""Letting gradient through ReLU-like functions where none would pass at all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from opsin.explanation.gradient.guided import RELU_LIKE


class RedirectedRules(TorchFunctionMode):
    """Inside the block a ReLU-like function that blocks all of an image's gradient lets through what leads out of its
    flat part: from below zero upwards, from above the upper bound of a ReLU6 downwards.

    Without that a unit that is off for the first picture could never be dreamt of. Where any gradient passes as it is,
    nothing is changed. The rule follows Lucid's "redirected ReLU" (Olah, Mordvintsev and Schubert 2017, Feature
    Visualization). What is maximised has to be maximised by going against the gradient, as optimisers do.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func not in RELU_LIKE:
            return func(*args, **kwargs)
        inputs = args[0] if args else kwargs.pop("input")
        if not isinstance(inputs, Tensor) or not inputs.requires_grad:
            return func(inputs, *args[1:], **kwargs)
        in_place = func.__name__.endswith("_") or bool(kwargs.get("inplace"))
        # on a copy, so that an in-place call keeps the values that decide which side of zero they lie on
        output = _Redirected.apply(inputs.clone(), lambda values: func(values, *args[1:], **kwargs))
        return inputs.copy_(output) if in_place else output


class _Redirected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, function: Any) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(inputs)
        ctx.function = function
        return function(inputs.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (inputs,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = inputs.detach().requires_grad_(True)
            (own,) = torch.autograd.grad(ctx.function(leaf.clone()), leaf, gradient)
        blocked = (own == 0).flatten(1).all(dim=1)
        if not bool(blocked.any()):
            return own, None
        # a step goes against the gradient: it leads towards zero where both have one sign
        leading_out = torch.where(inputs * gradient > 0, gradient, torch.zeros_like(gradient))
        return torch.where(blocked.view(-1, *[1] * (inputs.ndim - 1)), leading_out, own), None
