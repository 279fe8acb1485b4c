"""Numbers made from a whole axis: mean, sum, largest, length, and softmax."""

from __future__ import annotations

import math

import numpy as np

from opsin.explanation.tracing.arithmetic.opening import (
    Arithmetic,
    CannotOpen,
    Opening,
    Operand,
    applied,
    axis_of,
    grid,
    products,
)  # fmt: skip
from opsin.explanation.tracing.arithmetic.pooling import largest


def mean(opening: Opening) -> Arithmetic:
    """Every number over the axes, divided by how many there are."""
    inputs, places = _members(opening)
    terms = products(inputs, places, np.full(len(places), 1 / len(places)))
    return Arithmetic(terms, 0.0, "mean", {"divided by": len(places)})


def total(opening: Opening) -> Arithmetic:
    """Every number over the axes."""
    inputs, places = _members(opening)
    return Arithmetic(products(inputs, places, np.ones(len(places))), 0.0, "sum")


def maximum(opening: Opening) -> Arithmetic:
    """The largest number over the axes."""
    if opening.call.item:
        raise CannotOpen("where the largest number is, is a place and no arithmetic")
    inputs, places = _members(opening)
    return largest(inputs, places)


def length(opening: Opening) -> Arithmetic:
    """The Euclidean length: `sqrt(sum of x^2)`, every x times its share `x / length` of it."""
    if opening.setting("ord", 2) != 2:
        raise CannotOpen("a norm other than the Euclidean one is not opened")
    inputs, places = _members(opening)
    numbers = inputs.numbers(places)
    size = math.sqrt(math.fsum((numbers**2).tolist()))
    weights = numbers / size if size else np.zeros(len(numbers))
    return Arithmetic(products(inputs, places, weights), 0.0, "square root of the sum of squares", {"length": size})


def softmax(opening: Opening) -> Arithmetic:
    """`exp(x - largest) / sum of exp(x - largest)`: what each number contributes to the sum is in the details."""
    inputs, places, own, numbers = _along_axis(opening)
    top = float(numbers.max())
    raised = np.exp(numbers - top)
    whole = math.fsum(raised.tolist())
    results = np.where(own, raised / whole, 0.0)
    details = {"largest": top, "sum": whole, "exponentials": raised.tolist()}
    formula = "exp(input - largest) / sum of all exp(input - largest)"
    return Arithmetic(applied(inputs, places, results), 0.0, formula, details)


def log_softmax(opening: Opening) -> Arithmetic:
    """`x - log(sum of exp(x))`."""
    inputs, places, own, numbers = _along_axis(opening)
    top = float(numbers.max())
    whole = math.fsum(np.exp(numbers - top).tolist())
    terms = products(inputs, places[own], np.ones(1))
    return Arithmetic(
        terms, -top - math.log(whole), "input - log of the sum of all exp(input)", {"largest": top, "sum": whole}
    )


def _members(opening: Opening) -> tuple[Operand, np.ndarray]:
    """The operand and the places int `(n, axes)` that a reduction takes for one number."""
    inputs = opening.operand("self")
    given = opening.setting("dim", [])
    dims = given if isinstance(given, list | tuple) else [given]
    axes = len(inputs.shape)
    over = {axis_of(int(dim), axes) for dim in dims} or set(range(axes))
    place = list(opening.place)
    if len(place) == axes:  # keepdim
        kept = [range(inputs.shape[axis]) if axis in over else [place[axis]] for axis in range(axes)]
    else:
        rest = iter(place)
        kept = [range(inputs.shape[axis]) if axis in over else [next(rest)] for axis in range(axes)]
    return inputs, grid(*kept)


def _along_axis(opening: Opening) -> tuple[Operand, np.ndarray, np.ndarray, np.ndarray]:
    """The operand, places along the axis, which of them is the number's own, and the numbers."""
    inputs, place = opening.operand("self"), opening.place
    axis = axis_of(int(opening.setting("dim", -1)), len(inputs.shape))
    places = grid(*place[:axis], range(inputs.shape[axis]), *place[axis + 1 :])
    numbers = inputs.numbers(places)
    if not np.isfinite(numbers.max()):
        raise CannotOpen("the axis holds NaN or nothing but minus infinity")
    return inputs, places, places[:, axis] == place[axis], numbers
