"""Values of a layer as maps: three axes whatever the layer has, small enough to send. The evaluator does the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.errors import OpsinError


def map_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """The shape (channels, rows, columns) as which values of a shape without the batch axis are shown.

    () -> (1, 1, 1); (c,) -> (c, 1, 1); (r, c) -> (1, r, c); (c, h, w) as it is; of more axes the leading ones are
    flattened into channels.
    """
    if len(shape) < 2:
        return (math.prod(shape), 1, 1)
    *leading, rows, columns = shape
    return (math.prod(leading), rows, columns)


def node_position(shape: Sequence[int], unit: Sequence[int]) -> tuple[int, ...]:
    """Where (channel, row, column) of the maps lies in the layer's own axes.

    Raises:
        OpsinError: it lies outside of the layer.
    """
    shown = map_shape(shape)
    if len(unit) != 3 or not all(0 <= at < length for at, length in zip(unit, shown, strict=True)):
        raise OpsinError(f"unit {list(unit)} was asked for; the layer's maps are {list(shown)}")
    if not shape:
        return ()
    flat = np.ravel_multi_index(tuple(unit), shown)
    return tuple(int(at) for at in np.unravel_index(flat, tuple(shape)))


def map_positions(shape: Sequence[int], positions: np.ndarray) -> np.ndarray:
    """Positions int `(n, axes)` in a layer's own axes as int32 `(n, 3)`: channel, row, column of its maps. Those that
    lie outside of the layer (padding) stay outside."""
    count = len(positions)
    axes = len(shape)
    found = np.zeros((count, 3), np.int32)
    if axes == 1:
        found[:, 0] = positions[:, 0]
    elif axes >= 2:
        found[:, 1:] = positions[:, axes - 2 : axes]
        for axis in range(axes - 2):
            found[:, 0] = found[:, 0] * shape[axis] + positions[:, axis]
    return found


def map_box(shape: Sequence[int], spans: Sequence[Sequence[int]]) -> list[int]:
    """Spans (first, behind the last) along a layer's own axes as [first, behind the last] of channels, rows and columns
    of its maps, one after the other: six numbers. Where leading axes are flattened, the channels between the first and
    the last are all in it."""
    if len(shape) == 0 or any(start >= stop for start, stop in spans):
        return [0, 0, 0, 0, 0, 0] if len(shape) else [0, 1, 0, 1, 0, 1]
    first = map_positions(shape, np.array([[start for start, _ in spans]]))[0]
    last = map_positions(shape, np.array([[stop - 1 for _, stop in spans]]))[0]
    return [int(number) for pair in zip(first, last + 1, strict=True) for number in pair]


def shrunk_maps(maps: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of whole cells, as few as make the longer side at most `side`; the last square of a row or
    column can be cut off by the edge, and its mean is over the cells that are there.

    Args:
        maps: float32 `(c, h, w)`.
        side: in cells.

    Returns:
        float32 `(c, ceil(h / step), ceil(w / step))` with `step = ceil(max(h, w) / side)`.
    """
    step = math.ceil(max(maps.shape[1:]) / side)
    if step <= 1:
        return maps
    height, width = maps.shape[1:]
    starts = np.arange(0, height, step), np.arange(0, width, step)
    sums = np.add.reduceat(np.add.reduceat(maps, starts[1], axis=2), starts[0], axis=1)
    counts = [np.minimum(start + step, length) - start for start, length in zip(starts, (height, width), strict=True)]
    return (sums / np.outer(*counts)).astype(np.float32)


@dataclass(frozen=True)
class Levels:
    """Maps as bytes: `low + values / 255 * (high - low)` per channel.

    Attributes:
        values: uint8 `(c, h, w)`.
        low, high: float32 `(c,)`: the smallest and largest value of each channel before anything was shrunk.
    """

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray, side: int | None) -> Levels:
        """Float maps `(c, h, w)`, their longer side at most `side` cells (None: whole); NaN, inf count as 0."""
        maps = maps if np.isfinite(maps).all() else np.nan_to_num(maps, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
        shrunk = maps if side is None else shrunk_maps(maps, side)
        spread = np.where(high > low, high - low, np.float32(1))
        values = (shrunk - low[:, None, None]) * (np.float32(255) / spread)[:, None, None]
        return cls(np.clip(np.floor(values + np.float32(0.5)), 0, 255).astype(np.uint8), low, high)

    def as_dict(self) -> dict[str, Any]:
        """For an answer."""
        return {"values": self.values, "low": self.low, "high": self.high}
