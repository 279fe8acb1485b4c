"""Exact receptive fields: which pixels can change a unit, whatever the weights.

With whole rows poisoned with NaN from one side on (see `poison`), a binary search finds the first row that reaches the
unit: the edge of its field. A gradient of NaN, sent back from the unit, says where to search first; what it says is
never believed unseen.

Araujo, Norris and Sim (2019, Computing receptive fields of convolutional neural networks, Distill) give the closed form
for a chain of convolutions and pools, with which this agrees (see the tests).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from opsin.explanation.inside.poison import Network, Unit, checked_unit, open_network, plain_kernels
from opsin.explanation.split import normal_mode
from opsin.inference.answers import batch_size
from opsin.models.classifier import Classifier
from opsin.records import ReceptiveField
from opsin.records.activity import Box

GROWTHS = (1, 2, 4, 8)  # by which the input is lengthened to see a field that is larger than the picture
NARROW = 32  # pixels across while it is
FEWEST_PLACES = 6


def receptive_field(
    model: Classifier | str | Path | nn.Module,
    layer: str,
    unit: Sequence[int],
    size: int | tuple[int, int] | None = None,
) -> ReceptiveField:
    """The exact receptive field of one unit.

    Args:
        model: a Classifier, what `load_model` takes, or a module.
        layer: the layer's name in `named_modules()`.
        unit: (channel, row, column) in the layer's maps (or grid of tokens); (row, column) for any channel there;
            (feature,) of a layer without places.
        size: height and width of the input in pixels, or its edge; by default what the Classifier is made for.

    Returns:
        The structural field, the local one without statistics of the whole picture, and the latter without borders.

    Raises:
        OpsinError: there is no such layer or unit, the size is not known, or the network cannot take it.
    """
    return receptive_fields(model, layer, [unit], size)[0]


def receptive_fields(
    model: Classifier | str | Path | nn.Module,
    layer: str,
    units: Sequence[Sequence[int]],
    size: int | tuple[int, int] | None = None,
) -> list[ReceptiveField]:
    """The exact receptive fields of several units of one layer, which share their passes; see `receptive_field`."""
    network = open_network(model, layer, size)
    return fields_in(network, [checked_unit(network, unit) for unit in units])


def fields_in(network: Network, units: Sequence[Unit]) -> list[ReceptiveField]:
    """The receptive fields of units of a network's layer."""
    with normal_mode(), torch.no_grad(), plain_kernels():
        moves, guess = _moves(network), None
        if moves is not None:
            guess = np.array([_clipped(_box_at(moves, unit), network.size) for unit in units]).reshape(-1, 4)
        boxes = _boxes(network, units, local=False, guess=None if network.ignored else guess)
        local = _boxes(network, units, local=True, guess=guess) if network.ignored else boxes
        free = _free(network, units, local, moves)
    return [
        ReceptiveField(network.layer, unit, network.size, box, near, wide, network.ignored)
        for unit, box, near, wide in zip(units, boxes, local, free, strict=True)
    ]


@dataclass
class _Side:
    """A binary search from one side: how many lines, counted from there, have to be poisoned until each unit is
    reached. `low..high` still hold the answer; a unit that nothing reaches ends at `lines + 1`."""

    axis: int  # -2: rows, -1: columns
    backwards: bool
    lines: int
    units: int
    guess: np.ndarray | None = None
    low: np.ndarray = field(init=False)
    high: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.low, self.high = np.ones(self.units, np.int64), np.full(self.units, self.lines + 1)

    def open_counts(self) -> list[int]:
        """The numbers of lines to try next, each once: at first those that a guess of the edges would prove right."""
        if self.guess is not None:
            first = self.lines - self.guess + 1 if self.backwards else self.guess + 1
            self.guess = None
            return np.unique(np.clip([first - 1, first], 1, self.lines)).tolist()
        middle = (self.low + self.high) // 2
        return np.unique(middle[self.low < self.high]).tolist()

    def learn(self, count: int, reached: np.ndarray) -> None:
        """With that many lines poisoned, these units were reached: poisoning more reaches them too."""
        self.high[reached] = np.minimum(self.high[reached], count)
        self.low[~reached] = np.maximum(self.low[~reached], count + 1)

    def poison(self, image: Tensor, count: int) -> None:
        start = self.lines - count if self.backwards else 0
        image.narrow(self.axis, start, count).fill_(torch.nan)

    @property
    def edge(self) -> np.ndarray:
        """int64 `(units,)`: the first line of the fields, or, backwards, the first line behind them."""
        return self.lines - self.low + 1 if self.backwards else self.low - 1


def _search(
    sides: Sequence[_Side], clean: Tensor, reached: Callable[[Tensor], Tensor], pick: Callable[[Tensor], np.ndarray]
) -> None:
    """Run all sides to their end, a bounded number of inputs at a time."""
    step = max(1, batch_size(clean.numel()) // 8)
    while tries := [(side, count) for side in sides for count in side.open_counts()]:
        for start in range(0, len(tries), step):
            some = tries[start : start + step]
            inputs = clean.repeat(len(some), 1, 1, 1)
            for image, (side, count) in zip(inputs, some, strict=True):
                side.poison(image, count)
            for (side, count), hit in zip(some, pick(reached(inputs)), strict=True):
                side.learn(count, hit)


def _picker(units: Sequence[Unit]) -> Callable[[Tensor], np.ndarray]:
    """Reads bool `(n, units)` from where NaN arrived."""
    if len(units[0]) == 1:
        features = [unit[0] for unit in units]
        return lambda bad: bad[:, features].cpu().numpy()
    rows, columns = [unit[-2] for unit in units], [unit[-1] for unit in units]
    named = np.array([len(unit) == 3 for unit in units])
    channels = [unit[0] if len(unit) == 3 else 0 for unit in units]

    def pick(bad: Tensor) -> np.ndarray:
        own = bad[:, channels, rows, columns].cpu().numpy()
        return own if named.all() else np.where(named, own, bad.any(dim=1)[:, rows, columns].cpu().numpy())

    return pick


def _boxes(
    network: Network, units: Sequence[Unit], *, local: bool, guess: np.ndarray | None = None
) -> list[Box | None]:
    if not units:
        return []
    height, width = network.size
    if guess is None:
        guess = network.guess(network.clean, units, local=local)
    lines = ((-2, False, height), (-1, False, width), (-2, True, height), (-1, True, width))
    sides = [
        _Side(axis, backwards, count, len(units), None if guess is None else guess[:, at])
        for at, (axis, backwards, count) in enumerate(lines)
    ]
    _search(sides, network.clean, lambda inputs: network.reached(inputs, local=local), _picker(units))
    nothing = sides[0].low > height
    edges = np.stack([side.edge for side in sides], axis=1).tolist()
    return [
        None if none else (top, left, bottom, right)
        for none, (top, left, bottom, right) in zip(nothing, edges, strict=True)
    ]


def _free(
    network: Network, units: Sequence[Unit], boxes: Sequence[Box | None], moves: tuple[_Steps, _Steps] | None
) -> list[Box | None]:
    """The fields without borders, from the steps from unit to unit, where these agree with what was measured."""
    if moves is None:
        return [None] * len(units)
    free = [_box_at(moves, unit) for unit in units]
    return [
        wide if box is not None and _agree(wide, box, network.size) else None
        for wide, box in zip(free, boxes, strict=True)
    ]


def _agree(free: Box, box: Box, size: tuple[int, int]) -> bool:
    """Whether a field without borders is that of a measured box. An edge within the picture is the same in both; where
    the free one lies outside, the box may end before the border, as pools leave rows out and dilated kernels skip
    some."""
    for axis in (0, 1):
        for edge, measured in ((free[axis], box[axis]), (free[axis + 2], box[axis + 2])):
            if 0 <= edge <= size[axis] and edge != measured:
                return False
    return True


def _box_at(moves: tuple[_Steps, _Steps], unit: Unit) -> Box:
    (top, bottom), (left, right) = moves[0].span(unit[-2]), moves[1].span(unit[-1])
    return top, left, bottom, right


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    return max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])


@dataclass(frozen=True)
class _Steps:
    """Fields that move by `stride` lines from unit to unit: unit i sees lines `i * stride + first` up to, but not
    including, `i * stride + end`."""

    stride: int
    first: int
    end: int

    def span(self, index: int) -> tuple[int, int]:
        return index * self.stride + self.first, index * self.stride + self.end


def _moves(network: Network) -> tuple[_Steps, _Steps] | None:
    """How fields move down and across, None where they do not move evenly."""
    if network.grid is None:
        return None
    down = _steps(network, -2)
    across = None if down is None else _steps(network, -1)
    return None if down is None or across is None else (down, across)


def _steps(network: Network, axis: int) -> _Steps | None:
    """How fields move along an axis, seen on inputs so long that the fields at the ends do not touch both borders; None
    where they do not move evenly, or the network takes no other size.

    The longer input is longer by a multiple of the stride, so that padding which depends on the size is the same.
    """
    for growth in GROWTHS:
        length = growth * network.size[axis]
        for across in (NARROW, None):
            with contextlib.suppress(RuntimeError, ValueError, AssertionError, IndexError):
                found = _steps_at(network, _longer(network.clean, axis, length, across), axis)
                if found is not None and (excess := (length - network.size[axis]) % found.stride):
                    length += found.stride - excess
                    found = _steps_at(network, _longer(network.clean, axis, length, across), axis)
                if found is not None:
                    return found
                break
    return None


def _longer(clean: Tensor, axis: int, length: int, across: int | None) -> Tensor:
    """The input repeated along an axis up to a length, and cut in the other one."""
    times = -(-length // clean.shape[axis])
    long = clean.repeat(1, 1, times, 1) if axis == -2 else clean.repeat(1, 1, 1, times)
    other = -3 - axis
    return long.narrow(axis, 0, length).narrow(other, 0, min(across or long.shape[other], long.shape[other]))


def _steps_at(network: Network, clean: Tensor, axis: int) -> _Steps | None:
    """The steps on one input: from the first lines of three units near the end, and the last lines of three near the
    start, which have to move alike. The outermost units are left out: they may see nothing but padding."""
    shape = network.reached(clean, local=True).shape
    if len(shape) != 4 or shape[axis] < FEWEST_PLACES:
        return None
    count, middle, lines = shape[axis], shape[-3 - axis] // 2, clean.shape[axis]
    at = [count - 4, count - 3, count - 2, 1, 2, 3]
    units = [(index, middle) if axis == -2 else (middle, index) for index in at]
    guess = network.guess(clean, units, local=True)
    near, far = (0, 2) if axis == -2 else (1, 3)
    if guess is not None and (guess[0, near] <= 0 or guess[5, far] >= lines):
        return None  # too short to see an end: not worth a search
    first, last = (
        _Side(axis, backwards, lines, len(units), None if guess is None else guess[:, far if backwards else near])
        for backwards in (False, True)
    )
    _search([first, last], clean, lambda inputs: network.reached(inputs, local=True), _picker(units))
    tops, ends = first.edge[:3], last.edge[3:]
    strides = {*np.diff(tops).tolist(), *np.diff(ends).tolist()}
    stride = int(tops[1] - tops[0])
    if tops[0] <= 0 or ends[2] >= lines or stride < 1 or len(strides) > 1:
        return None
    return _Steps(stride, int(tops[0]) - at[0] * stride, int(ends[0]) - at[3] * stride)
