"""A picture as the network gets it, moved: shifted, turned and enlarged. The evaluator in the browser does the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from opsin.errors import OpsinError

FURTHEST = 4096.0
LARGEST_SCALE = 16.0


@dataclass(frozen=True)
class Move:
    """How a picture is moved within its frame, about the frame's middle.

    Attributes:
        shift: down and right, in pixels of the network's input.
        rotate: degrees, counter-clockwise as seen.
        scale: how much larger it becomes.

    Raises:
        OpsinError: a value is out of range.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    rotate: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 1 / LARGEST_SCALE <= self.scale <= LARGEST_SCALE:
            raise OpsinError(f"scale was given as {self.scale:g}; expected {1 / LARGEST_SCALE:g} to {LARGEST_SCALE:g}")
        if max(map(abs, self.shift)) > FURTHEST:
            raise OpsinError(f"shift was given as {list(self.shift)}; expected at most {FURTHEST:g} pixels")

    @property
    def still(self) -> bool:
        """Whether nothing moves."""
        return self == Move()


def moved(pixels: np.ndarray, move: Move) -> np.ndarray:
    """A picture moved within its frame; what comes in from outside repeats the edge.

    The value at (row, column) is that of the picture at `R(rotate) (row - middle - shift) / scale + middle`, between
    pixels by bilinear interpolation, rounded to the nearest (halves up). Positions beyond the edge count as on it.

    Args:
        pixels: uint8 `(h, w, c)`.
        move: how.

    Returns:
        uint8 `(h, w, c)`; `pixels` itself where nothing moves.
    """
    if move.still:
        return pixels
    height, width = pixels.shape[:2]
    rows, columns = _sources(height, width, move)
    top, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (rows - top)[..., None], (columns - left)[..., None]
    above = pixels[top, left] * (1 - across) + pixels[top, right] * across
    below = pixels[bottom, left] * (1 - across) + pixels[bottom, right] * across
    return np.floor(above * (1 - down) + below * down + 0.5).astype(np.uint8)


def _sources(height: int, width: int, move: Move) -> tuple[np.ndarray, np.ndarray]:
    """Where each value comes from: rows and columns `(h, w)` within the picture."""
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    rows = (np.arange(height) - middle_row - move.shift[0])[:, None]
    columns = (np.arange(width) - middle_column - move.shift[1])[None, :]
    angle = math.radians(move.rotate)
    cosine, sine = math.cos(angle) / move.scale, math.sin(angle) / move.scale
    found_rows = sine * columns + cosine * rows + middle_row
    found_columns = cosine * columns - sine * rows + middle_column
    return np.clip(found_rows, 0, height - 1), np.clip(found_columns, 0, width - 1)
