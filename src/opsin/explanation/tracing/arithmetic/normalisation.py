"""Normalisations: `y = (x - mean) / sqrt(variance + eps) * weight + bias`.

Batch normalisation (Ioffe and Szegedy 2015) takes mean and variance from training, so that it is one product and one
sum. Layer, group and instance normalisation (Ba et al. 2016, Wu and He 2018, Ulyanov et al. 2016) take them from the
numbers themselves: the mean is a sum over these, whose terms are shown; the variance is a detail.
"""

from __future__ import annotations

import math

import numpy as np

from opsin.explanation.tracing.arithmetic.opening import Arithmetic, Opening, Operand, aligned, grid, products
from opsin.records.trace import join_terms


def batch_norm(opening: Opening) -> Arithmetic:
    """The input times `weight / sqrt(variance + eps)`, and what remains added."""
    inputs = opening.operand("input")
    image, channel, *_ = opening.place
    if opening.setting("training", False) or not opening.has("running_mean"):
        # no statistics were kept: those of this image
        return _normalised(opening, inputs, grid(image, channel, *map(range, inputs.shape[2:])), (channel,))
    mean, variance, gamma, beta = (
        opening.operand(role).number((channel,)) if opening.has(role) else default
        for role, default in (("running_mean", 0.0), ("running_var", 1.0), ("weight", 1.0), ("bias", 0.0))
    )
    eps = opening.setting("eps")
    scale = gamma / math.sqrt(variance + eps)
    terms = products(inputs, np.array([opening.place]), np.array([scale]))
    kept = products(opening.operand("running_mean"), np.array([[channel]]), np.array([-scale]))
    details = {"mean": mean, "variance": variance, "eps": eps, "weight": gamma, "bias": beta}
    return Arithmetic(join_terms([terms, kept]), beta, "(input - mean) / sqrt(variance + eps) x weight + bias", details)


def layer_norm(opening: Opening) -> Arithmetic:
    """Over the last axes, which `normalized_shape` says."""
    inputs = opening.operand("input")
    axes = len(opening.setting("normalized_shape"))
    before, own = opening.place[:-axes], opening.place[-axes:]
    members = grid(*before, *map(range, inputs.shape[-axes:]))
    return _normalised(opening, inputs, members, own)


def group_norm(opening: Opening) -> Arithmetic:
    """Over the places and the channels of a group."""
    inputs = opening.operand("input")
    image, channel, *_ = opening.place
    size = inputs.shape[1] // int(opening.setting("num_groups"))
    first = channel // size * size
    members = grid(image, range(first, first + size), *map(range, inputs.shape[2:]))
    return _normalised(opening, inputs, members, (channel,))


def instance_norm(opening: Opening) -> Arithmetic:
    """Over the places of a channel, or with kept statistics as batch normalisation."""
    inputs = opening.operand("input")
    if not opening.setting("use_input_stats", True):
        return batch_norm(opening)
    image, channel, *_ = opening.place
    return _normalised(opening, inputs, grid(image, channel, *map(range, inputs.shape[2:])), (channel,))


def rms_norm(opening: Opening) -> Arithmetic:
    """`x / sqrt(mean of x^2 + eps) * weight` over the last axes (Zhang and Sennrich 2019)."""
    inputs = opening.operand("input")
    axes = len(opening.setting("normalized_shape"))
    before, own = opening.place[:-axes], opening.place[-axes:]
    numbers = inputs.numbers(grid(*before, *map(range, inputs.shape[-axes:])))
    eps = opening.setting("eps", float(np.finfo(np.float32).eps))
    square = float(np.mean(numbers**2))
    gamma = opening.operand("weight").number(own) if opening.has("weight") else 1.0
    terms = products(inputs, np.array([opening.place]), np.array([gamma / math.sqrt(square + eps)]))
    return Arithmetic(
        terms, 0.0, "input / sqrt(mean of squares + eps) x weight",
        {"mean of squares": square, "eps": eps, "weight": gamma},
    )  # fmt: skip


def _normalised(opening: Opening, inputs: Operand, members: np.ndarray, own: tuple[int, ...]) -> Arithmetic:
    """With mean and variance of the members, the number itself among them."""
    numbers = inputs.numbers(members)
    mean, variance, eps = float(numbers.mean()), float(numbers.var()), float(opening.setting("eps"))
    gamma = opening.operand("weight").number(own) if opening.has("weight") else 1.0
    beta = opening.operand("bias").number(own) if opening.has("bias") else 0.0
    scale = gamma / math.sqrt(variance + eps)
    itself = products(inputs, aligned(opening.place, inputs.shape), np.array([scale]))
    average = products(inputs, members, np.full(len(members), -scale / len(members)))
    details = {"mean": mean, "variance": variance, "eps": eps, "weight": gamma, "bias": beta, "numbers": len(members)}
    formula = "(input - mean) / sqrt(variance + eps) x weight + bias; the mean's terms follow the input"
    return Arithmetic(join_terms([itself, average]), beta, formula, details)
