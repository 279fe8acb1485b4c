"""Operations that only move numbers: flatten, permute, slice, cat, pad, ...

Which number it was is found by running the operation on numbers that say where they stand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from opsin.explanation.tracing.arithmetic.opening import Arithmetic, CannotOpen, Opening, Operand, products
from opsin.explanation.tracing.calls import Ref, Weight, flat

# Numbers that say where they stand begin here: what an operation fills in is smaller, and float64 is exact up to 2^53
MARK = 2**40


def moved(opening: Opening) -> Arithmetic:
    """This number is that number of a node before; or what a padding is filled with."""
    if opening.call.operation.endswith("dropout") and opening.setting("train", False):
        raise CannotOpen("a dropout in training mode draws random numbers")
    found = int(sources(opening)[opening.place])
    for operand in operands(opening):
        if 0 <= found < operand.value.numel():
            place = np.array([np.unravel_index(found, operand.shape)], np.int64).reshape(1, -1)
            return Arithmetic(products(operand, place, np.ones(1)), 0.0, "this number is that number")
        found -= operand.value.numel()
    number = float(opening.output[opening.place])
    return Arithmetic(bias=number, formula="filled in by the operation, the same for every image")


def sources(opening: Opening) -> np.ndarray:
    """int64 in the shape of the output: the number of the input that it is, counted through all tensors of numbers
    among the arguments; -1 where it is none of them."""
    given: dict[str, Any] = {}
    start = MARK
    for role, value in opening.call.arguments.items():
        items = list(flat(value))
        for at, item in enumerate(items):
            if _is_numbers(opening, item):
                shape = opening.tensor(item).shape
                items[at] = torch.arange(start, start + shape.numel(), dtype=torch.float64).view(shape)
                start += shape.numel()
            elif isinstance(item, Ref | Weight | Tensor):
                items[at] = opening.tensor(item).cpu()
        given[role] = items if isinstance(value, list | tuple) else items[0]
    found = opening.call.compute(given, opening.tensor).numpy()
    return np.where((found >= MARK) & (found < start), found - MARK, -1).astype(np.int64)


def operands(opening: Opening) -> list[Operand]:
    """The tensors of numbers among the arguments, as `sources` counts them."""
    items = [item for value in opening.call.arguments.values() for item in flat(value)]
    return [opening.as_operand(item) for item in items if _is_numbers(opening, item)]


def _is_numbers(opening: Opening, item: Any) -> bool:
    return isinstance(item, Ref | Weight | Tensor) and opening.tensor(item).is_floating_point()
