"""Convolution in one to three axes, and its transpose.

    y[o, p] = sum over i, k of  x[i, p * stride - padding + k * dilation] * w[o, i, k]  + b[o]

where i runs over the input channels of the group of o (Dumoulin and Visin 2016, A guide to convolution arithmetic for
deep learning).
"""

from __future__ import annotations

import numpy as np

from opsin.explanation.tracing.arithmetic.opening import Arithmetic, CannotOpen, Opening, each, grid, products


def convolution(opening: Opening) -> Arithmetic:
    """Every input of the window times its weight; what lies in the padding counts as zero and is marked."""
    inputs, weight = opening.operand("input"), opening.operand("weight")
    image, channel, *place = _place(opening)
    kernel = weight.shape[2:]
    axes = len(kernel)
    stride, dilation = each(opening.setting("stride"), axes, 1), each(opening.setting("dilation"), axes, 1)
    padding = _padding(opening.setting("padding", 0), kernel, dilation)
    taps = grid(range(weight.shape[1]), *map(range, kernel))
    first = channel // (weight.shape[0] // opening.setting("groups", 1)) * weight.shape[1]
    corner = np.array(place) * stride - padding
    places = np.column_stack([
        np.full(len(taps), image), first + taps[:, 0], corner + taps[:, 1:] * np.array(dilation)
    ])  # fmt: skip
    inside = np.all((places[:, 2:] >= 0) & (places[:, 2:] < np.array(inputs.shape[2:])), axis=1)
    weight_places = np.column_stack([np.full(len(taps), channel), taps])
    terms = products(
        inputs, places, weight.numbers(weight_places), weight=weight, weight_places=weight_places, inside=inside
    )
    return Arithmetic(terms, _bias(opening, channel), "sum of input x weight over the window, plus bias")


def transposed(opening: Opening) -> Arithmetic:
    """Every input that was spread to this place times the weight that it was spread with."""
    inputs, weight = opening.operand("input"), opening.operand("weight")
    image, channel, *place = _place(opening)
    kernel = weight.shape[2:]
    axes = len(kernel)
    stride, dilation = each(opening.setting("stride"), axes, 1), each(opening.setting("dilation"), axes, 1)
    padding, groups = each(opening.setting("padding", 0), axes), opening.setting("groups", 1)
    per_group = weight.shape[0] // groups
    group, within = divmod(channel, weight.shape[1])
    taps = grid(range(per_group), *map(range, kernel))
    spread = np.array(place) + np.array(padding) - taps[:, 1:] * np.array(dilation)
    source = spread // np.array(stride)
    met = ((spread % np.array(stride) == 0) & (source >= 0) & (source < np.array(inputs.shape[2:]))).all(axis=1)
    taps, source = taps[met], source[met]
    channels = group * per_group + taps[:, 0]
    places = np.column_stack([np.full(len(taps), image), channels, source])
    weight_places = np.column_stack([channels, np.full(len(taps), within), taps[:, 1:]])
    terms = products(inputs, places, weight.numbers(weight_places), weight=weight, weight_places=weight_places)
    return Arithmetic(terms, _bias(opening, channel), "sum of input x weight that reach here, plus bias")


def _place(opening: Opening) -> tuple[int, ...]:
    if len(opening.place) != len(opening.operand("weight").shape):
        raise CannotOpen("a convolution of an input without the axis of the image is not opened")
    return opening.place


def _padding(padding: object, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """How many places before the first; PyTorch's "same" puts the odd one behind."""
    if padding == "valid":
        return (0,) * len(kernel)
    if padding == "same":
        return tuple(step * (side - 1) // 2 for side, step in zip(kernel, dilation, strict=True))
    return each(padding, len(kernel))


def _bias(opening: Opening, channel: int) -> float:
    return opening.operand("bias").number((channel,)) if opening.has("bias") else 0.0
