"""Sums of products: linear layers and products of matrices, also those of attention."""

from __future__ import annotations

import math

import numpy as np

from opsin.explanation.tracing.arithmetic.opening import Arithmetic, CannotOpen, Opening, Operand, grid, products


def linear(opening: Opening) -> Arithmetic:
    """`y[o] = sum over i of x[i] * w[o, i] + b[o]`, at every place before the last axis."""
    inputs, weight = opening.operand("input"), opening.operand("weight")
    *before, feature = opening.place
    if len(weight.shape) != 2:
        raise CannotOpen("a linear layer with a weight of one axis is not opened")
    places = grid(*before, range(weight.shape[1]))
    weight_places = grid(feature, range(weight.shape[1]))
    terms = products(inputs, places, weight.numbers(weight_places), weight=weight, weight_places=weight_places)
    bias = opening.operand("bias").number((feature,)) if opening.has("bias") else 0.0
    return Arithmetic(terms, bias, "sum of input x weight, plus bias")


def matmul(opening: Opening) -> Arithmetic:
    """`y[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]`."""
    first, second = opening.operand("self"), opening.operand("mat2" if opening.has("mat2") else "other")
    return Arithmetic(matrix_terms(opening.place, first, second), 0.0, "sum of row x column")


def matrix_terms(
    place: tuple[int, ...], first: Operand, second: Operand, scale: float = 1.0, *, transposed: bool = False
) -> np.recarray:
    """The terms of a product of matrices; with `transposed` the second one's last two axes are exchanged before."""
    if len(first.shape) < 2 or len(second.shape) < 2:
        raise CannotOpen("a product of a matrix and a vector is not opened")
    *before, row, column = place
    inner = range(first.shape[-1])
    places = grid(*_broadcast(before, first.shape[:-2]), row, inner)
    other = _broadcast(before, second.shape[:-2])
    second_places = grid(*other, column, inner) if transposed else grid(*other, inner, column)
    weights = second.numbers(second_places) * scale
    return products(first, places, weights, weight=second, weight_places=second_places)


def attention_scores(opening: Opening) -> Arithmetic:
    """Query times key, scaled by 1 / sqrt(d), and the mask added."""
    query, key = opening.operand("query"), opening.operand("key")
    scale = opening.setting("scale", 1 / math.sqrt(query.shape[-1]))
    *_, row, column = opening.place
    terms = matrix_terms(opening.place, query, key, scale, transposed=True)
    details = {"scale": scale}
    if opening.setting("is_causal", False) and column > row:
        raise CannotOpen("the mask forbids this key: the score is minus infinity")
    return Arithmetic(terms, _mask(opening), "sum of query x key x scale, plus mask", details)


def attention(opening: Opening) -> Arithmetic:
    """The values, each times its weight."""
    if opening.call.helper is None:
        raise CannotOpen("attention whose queries share their keys is not opened")
    weights, value = opening.as_operand(opening.call.helper), opening.operand("value")
    if opening.setting("dropout_p", 0.0):
        raise CannotOpen("attention with dropout draws random numbers")
    *before, row, column = opening.place
    keys = range(weights.shape[-1])
    places = grid(*_broadcast(before, value.shape[:-2]), keys, column)
    weight_places = grid(*_broadcast(before, weights.shape[:-2]), row, keys)
    terms = products(value, places, weights.numbers(weight_places), weight=weights, weight_places=weight_places)
    return Arithmetic(terms, 0.0, "sum of value x weight of its key")


def _mask(opening: Opening) -> float:
    if not opening.has("attn_mask"):
        return 0.0
    mask = opening.operand("attn_mask")
    kept = opening.place[len(opening.place) - len(mask.shape) :]
    found = mask.number(tuple(0 if side == 1 else at for at, side in zip(kept, mask.shape, strict=True)))
    if mask.value.is_floating_point() and math.isfinite(found):
        return found
    if not mask.value.is_floating_point() and found:
        return 0.0
    raise CannotOpen("the mask forbids this key: the score is minus infinity")


def _broadcast(place: list[int], shape: tuple[int, ...]) -> list[int]:
    """The leading places of an output in a tensor that may have fewer of them, or some of length one."""
    kept = place[len(place) - len(shape) :]
    return [0 if side == 1 else at for at, side in zip(kept, shape, strict=True)]
