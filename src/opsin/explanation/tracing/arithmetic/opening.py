"""What every opener gets and gives: one number of a call, and the terms that make it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.tracing.calls import Call, Ref, Weight
from opsin.records.trace import no_terms, term_array


class CannotOpen(OpsinError):
    """A number whose arithmetic is not shown, and why."""


@dataclass(frozen=True)
class Arithmetic:
    """What makes one number: the sum of the products and the bias.

    Attributes:
        terms: see `opsin.records.trace.Term`.
        bias: what is added.
        formula: in words.
        details: the other numbers in it.
    """

    terms: np.recarray = field(default_factory=no_terms)
    bias: float = 0.0
    formula: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operand:
    """A tensor that a call takes.

    Attributes:
        name: its node, or its name in the state dict; "" for a constant.
        value: with the axis of the image.
        image: whether its first axis is that of the one image, which positions leave out.
        call: what gives it; "" for a parameter or a constant.
    """

    name: str
    value: Tensor
    image: bool = False
    call: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """float64 `(n,)`: what is at places int `(n, axes)`."""
        found = self.value[tuple(torch.from_numpy(column).to(self.value.device) for column in places.T)]
        return found.detach().double().cpu().numpy().reshape(len(places))

    def positions(self, places: np.ndarray) -> np.ndarray:
        """The places as a record has them."""
        return places[:, 1:] if self.image else places

    def number(self, place: tuple[int, ...]) -> float:
        """What is at one place."""
        return float(self.value[place].detach())


@dataclass(frozen=True)
class Opening:
    """One number of a call that is to be opened.

    Attributes:
        call: the call.
        place: where in its output, with the axis of the image.
        values: outputs of all calls by name, the call's own among them.
        state: parameters and buffers by name.
    """

    call: Call
    place: tuple[int, ...]
    values: Mapping[str, Tensor]
    state: Mapping[str, Tensor]

    @property
    def output(self) -> Tensor:
        return self.values[self.call.name]

    def setting(self, role: str, default: Any = None) -> Any:
        """An argument that is no tensor."""
        found = self.call.arguments.get(role)
        return default if found is None else found

    def has(self, role: str) -> bool:
        """Whether a tensor is given for an argument."""
        return isinstance(self.call.arguments.get(role), Ref | Weight | Tensor)

    def operand(self, role: str) -> Operand:
        """The tensor of an argument."""
        return self.as_operand(self.call.arguments.get(role))

    def as_operand(self, item: Any) -> Operand:
        """A tensor among the arguments."""
        if isinstance(item, Ref):
            value = self.values[item.name]
            return Operand(item.source, value, value.ndim > 0 and value.shape[0] == 1, item.name)
        if isinstance(item, Weight):
            return Operand(item.name, self.state[item.name])
        if isinstance(item, Tensor):
            return Operand("", item)
        raise CannotOpen(f"{self.call.operation} of a {type(item).__name__} is not opened")

    def tensor(self, item: Any) -> Tensor:
        """The tensor that a Ref or Weight stands for."""
        return self.as_operand(item).value


def products(
    inputs: Operand, places: np.ndarray, weights: np.ndarray, *, weight: Operand | None = None,
    weight_places: np.ndarray | None = None, inside: np.ndarray | None = None,
) -> np.recarray:  # fmt: skip
    """Terms that multiply numbers of an operand with weights.

    Args:
        inputs: where the numbers come from.
        places: int `(n, axes)` in it; outside of it where `inside` is False: such a number counts as zero.
        weights: float64 `(n,)`.
        weight: where the weights come from, if they lie in a tensor, at `weight_places` int `(n, axes)`.
        inside: bool `(n,)`.
    """
    inside = np.ones(len(places), bool) if inside is None else inside
    numbers = np.zeros(len(places))
    numbers[inside] = inputs.numbers(places[inside])
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.where(inside, numbers * weights, 0.0)
    return term_array(
        inputs.name, inputs.positions(places), numbers, weights, product,
        "" if weight is None else weight.name,
        None if weight is None or weight_places is None else weight.positions(weight_places), ~inside,
    )  # fmt: skip


def applied(inputs: Operand, places: np.ndarray, results: np.ndarray) -> np.recarray:
    """Terms of a function that is applied to numbers: without a weight."""
    blank = np.full(len(places), math.nan)
    return term_array(inputs.name, inputs.positions(places), inputs.numbers(places), blank, results)


def grid(*axes: Any) -> np.ndarray:
    """int `(n, axes)`: every combination of the axes' indices, the last one fastest."""
    columns = np.meshgrid(*[np.atleast_1d(np.asarray(axis, np.int64)) for axis in axes], indexing="ij")
    return np.stack([column.ravel() for column in columns], axis=1)


def aligned(place: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """int `(1, axes)`: where a tensor that is broadcast to an output has the number of a place."""
    kept = place[len(place) - len(shape) :]
    return np.array([[0 if side == 1 else at for at, side in zip(kept, shape, strict=True)]], np.int64).reshape(1, -1)


def axis_of(value: int, axes: int) -> int:
    """An axis counted from the front."""
    return value % axes if axes else 0


def each(value: Any, count: int, default: int = 0) -> tuple[int, ...]:
    """A setting per axis, where one number holds for all."""
    if value is None or (isinstance(value, list | tuple) and not value):
        return (default,) * count
    if isinstance(value, list | tuple):
        return tuple(int(item) for item in (value if len(value) == count else list(value) * count))
    return (int(value),) * count
