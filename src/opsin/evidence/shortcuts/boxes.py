"""Boxes of pixels: top, left, bottom, right, the last two not inside."""

from __future__ import annotations

import numpy as np

Box = tuple[int, int, int, int]


def area(box: Box) -> int:
    """Pixels inside."""
    return (box[2] - box[0]) * (box[3] - box[1])


def inside(box: Box) -> tuple[slice, slice]:
    """Rows and columns as an index of `(h, w)`."""
    return slice(box[0], box[2]), slice(box[1], box[3])


def overlap(first: Box, second: Box) -> int:
    """Pixels inside both."""
    down = min(first[2], second[2]) - max(first[0], second[0])
    across = min(first[3], second[3]) - max(first[1], second[1])
    return max(0, down) * max(0, across)


def join(first: Box, second: Box) -> Box:
    """The smallest box around both."""
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def around(mask: np.ndarray) -> Box:
    """The smallest box around the True places of bool `(h, w)`, of which there is at least one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def windows(size: tuple[int, int], height: int, width: int, stride: int) -> list[Box]:
    """Every box of that height and width on a grid of `stride` pixels, and those that touch the far edges."""
    tops = [*range(0, size[0] - height, stride), size[0] - height]
    lefts = [*range(0, size[1] - width, stride), size[1] - width]
    return [(top, left, top + height, left + width) for top in tops for left in lefts]
