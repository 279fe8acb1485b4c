"""Pools in one to three axes: the largest number, or the mean, of a window."""

from __future__ import annotations

import math

import numpy as np

from opsin.explanation.tracing.arithmetic.opening import Arithmetic, CannotOpen, Opening, Operand, each, grid, products
from opsin.records.trace import term_array


def max_pool(opening: Opening) -> Arithmetic:
    """The largest of the window counts once, the first of equal ones; the others not at all. Padding is no number."""
    inputs = _only(opening)
    places, inside = _window(opening, inputs, each(opening.setting("dilation", 1), _axes(opening), 1))
    return largest(inputs, places[inside])


def adaptive_max_pool(opening: Opening) -> Arithmetic:
    """As `max_pool`, over a window that is found from the sizes."""
    inputs = _only(opening)
    return largest(inputs, _adaptive(opening, inputs))


def average_pool(opening: Opening) -> Arithmetic:
    """Every number of the window, divided by how many there are; padding is counted where the layer says so."""
    inputs, axes = _only(opening), _axes(opening)
    places, inside = _window(opening, inputs, (1,) * axes)
    padding = np.array(each(opening.setting("padding", 0), axes))
    # a window that reaches over the padding's end (ceil_mode) is cut there
    within = (places[:, -axes:] < np.array(inputs.shape[-axes:]) + padding).all(axis=1)
    places, inside = places[within], inside[within]
    if not opening.setting("count_include_pad", True):
        places, inside = places[inside], inside[inside]
    count = opening.setting("divisor_override", len(places))
    weights = np.full(len(places), 1 / count)
    return Arithmetic(
        products(inputs, places, weights, inside=inside), 0.0, "mean of the window", {"divided by": count}
    )


def adaptive_average_pool(opening: Opening) -> Arithmetic:
    """The mean over a window from `floor(i * n / m)` to `ceil((i + 1) * n / m)` of n places, for m results."""
    inputs = _only(opening)
    places = _adaptive(opening, inputs)
    terms = products(inputs, places, np.full(len(places), 1 / len(places)))
    return Arithmetic(terms, 0.0, "mean of the window", {"divided by": len(places)})


def _only(opening: Opening) -> Operand:
    return opening.operand("self" if opening.has("self") else "input")


def _axes(opening: Opening) -> int:
    """How many axes are pooled: the operation's name says it."""
    return int(opening.call.operation[-2])


def _window(opening: Opening, inputs: Operand, dilation: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Places int `(n, axes)` of the window, and which of them lie in the input."""
    axes = _axes(opening)
    kernel = each(opening.setting("kernel_size"), axes)
    stride = each(opening.setting("stride") or kernel, axes)
    padding = each(opening.setting("padding", 0), axes)
    before, place = opening.place[:-axes], opening.place[-axes:]
    corner = np.array(place) * stride - padding
    offsets = grid(*map(range, kernel)) * np.array(dilation)
    places = np.column_stack([np.tile(before, (len(offsets), 1)), corner + offsets]).astype(np.int64)
    inside = np.all((places[:, -axes:] >= 0) & (places[:, -axes:] < np.array(inputs.shape[-axes:])), axis=1)
    return places, inside


def _adaptive(opening: Opening, inputs: Operand) -> np.ndarray:
    axes = _axes(opening)
    before, place = opening.place[:-axes], opening.place[-axes:]
    sizes = zip(place, inputs.shape[-axes:], opening.output.shape[-axes:], strict=True)
    spans = [range(at * side // count, math.ceil((at + 1) * side / count)) for at, side, count in sizes]
    return grid(*before, *spans)


def largest(inputs: Operand, places: np.ndarray) -> Arithmetic:
    """The largest of the numbers at some places."""
    numbers = inputs.numbers(places)
    if not len(numbers) or np.isnan(numbers).any():
        raise CannotOpen("the window holds no number, or NaN")
    weights = np.zeros(len(places))
    weights[int(np.argmax(numbers))] = 1.0
    # minus infinity times zero is no number
    chosen = np.where(weights > 0, numbers, 0.0)
    return Arithmetic(
        term_array(inputs.name, inputs.positions(places), numbers, weights, chosen), 0.0, "the largest of the window"
    )
