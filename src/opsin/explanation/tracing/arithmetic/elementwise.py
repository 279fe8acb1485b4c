"""Sums, products and quotients of numbers at one place of several tensors, broadcast as PyTorch does."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from opsin.explanation.tracing.arithmetic.opening import Arithmetic, CannotOpen, Opening, Operand, aligned, products
from opsin.explanation.tracing.calls import Ref, Weight
from opsin.records.trace import join_terms


def add(opening: Opening) -> Arithmetic:
    """`self + alpha * other`."""
    return _sum(opening, 1.0, float(opening.setting("alpha", 1)))


def sub(opening: Opening) -> Arithmetic:
    """`self - alpha * other`."""
    return _sum(opening, 1.0, -float(opening.setting("alpha", 1)))


def rsub(opening: Opening) -> Arithmetic:
    """`other - alpha * self`."""
    return _sum(opening, -float(opening.setting("alpha", 1)), 1.0)


def mul(opening: Opening) -> Arithmetic:
    """A number of the network times another one, or times a constant or parameter."""
    first, second = opening.call.arguments["self"], opening.call.arguments["other"]
    if not isinstance(first, Ref) and isinstance(second, Ref):
        first, second = second, first
    inputs = opening.as_operand(first)
    place = aligned(opening.place, inputs.shape)
    if not _is_tensor(second):
        return Arithmetic(products(inputs, place, np.array([float(second)])), 0.0, "input x constant")
    weight = opening.as_operand(second)
    at = aligned(opening.place, weight.shape)
    terms = products(inputs, place, weight.numbers(at), weight=weight, weight_places=at)
    return Arithmetic(terms, 0.0, "product of two numbers")


def div(opening: Opening) -> Arithmetic:
    """A number times one over another one."""
    first, second = opening.call.arguments["self"], opening.call.arguments["other"]
    if opening.setting("rounding_mode"):
        raise CannotOpen("a division that is rounded is not opened")
    inputs = opening.as_operand(first)
    place = aligned(opening.place, inputs.shape)
    if not _is_tensor(second):
        return Arithmetic(products(inputs, place, np.array([1 / float(second)])), 0.0, "input / constant")
    divisor = opening.as_operand(second)
    at = aligned(opening.place, divisor.shape)
    number = divisor.numbers(at)
    if not number[0]:
        raise CannotOpen("a division by zero has no arithmetic")
    terms = products(inputs, place, 1 / number, weight=divisor, weight_places=at)
    return Arithmetic(terms, 0.0, "input / divisor: times one over it", {"divisor": float(number[0])})


def _sum(opening: Opening, first: float, second: float) -> Arithmetic:
    parts, bias = [], 0.0
    for role, weight in (("self", first), ("other", second)):
        item = opening.call.arguments[role]
        if not _is_tensor(item):
            bias += weight * float(item)
            continue
        operand = opening.as_operand(item)
        parts.append(_term(opening, operand, weight))
    return Arithmetic(join_terms(parts), bias, "sum")


def _term(opening: Opening, operand: Operand, weight: float) -> np.recarray:
    return products(operand, aligned(opening.place, operand.shape), np.array([weight]))


def _is_tensor(item: object) -> bool:
    return isinstance(item, Ref | Weight | Tensor)
