"""A map laid on its picture: the photograph stays readable, and is unchanged where the map is zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.reporting.figures.colours import diverging, levels, sequential

STRONGEST = 0.85
"""Opacity of the highest value: the photograph's texture still shows through."""
FADING = 2
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as for grey inputs


def display_pixels(explanation: Explanation) -> np.ndarray:
    """uint8 `(n, h, w, c)`, c = 1 or 3: the inputs as pixels again; see `input_pixels`."""
    return input_pixels(explanation.inputs, explanation.display)


def input_pixels(inputs: np.ndarray, display: tuple[Sequence[float], Sequence[float]] | None) -> np.ndarray:
    """uint8 `(n, h, w, c)`, c = 1 or 3: inputs float `(n, c, h, w)` as pixels again, by mean and std per channel.

    Alpha is laid on white. Without `display` each input is scaled from its own smallest to its own largest value, and
    of channels that are no picture (2, 4 and more) the mean (2) or the first three are shown.
    """
    inputs = np.nan_to_num(inputs.transpose(0, 2, 3, 1))
    if display is None:
        low = inputs.min(axis=(1, 2, 3), keepdims=True)
        spread = inputs.max(axis=(1, 2, 3), keepdims=True) - low
        values = np.divide(inputs - low, spread, out=np.zeros_like(inputs), where=spread > 0)
        shown = values.mean(axis=3, keepdims=True) if values.shape[3] == 2 else values[..., :3]
    else:
        mean, std = (np.asarray(part, np.float32) for part in display)
        values = np.clip(inputs * std + mean, 0, 1)
        alpha = values[..., -1:] if values.shape[3] in (2, 4) else None
        shown = values if alpha is None else values[..., :-1] * alpha + (1 - alpha)
    return np.round(shown * 255).astype(np.uint8)


def overlay(
    image: np.ndarray, values: np.ndarray, *, signed: bool | None = None, high: float | None = None
) -> Image.Image:
    """A map laid on a picture. Opacity follows the value: nothing is changed where the map is zero.

    Args:
        image: uint8 `(h, w, c)`, c = 1 or 3.
        values: float `(h, w)`, the map.
        signed: blue - neutral - orange with zero in the middle, rather than dark to light; None: where the map has
            values below zero.
        high: the value of the full colour (of `-high` too, in a signed map); None: the map's largest magnitude. What
            lies beyond is clipped.

    Returns:
        An RGB image of `(w, h)`.

    Raises:
        OpsinError: the shapes do not fit, or a value is not finite.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or values.shape != image.shape[:2]:
        raise OpsinError(
            f"an image {image.dtype} {image.shape} and a map {values.shape} were given; expected uint8 (h, w, 1 or 3) "
            "and (h, w)"
        )
    if not np.isfinite(values).all():
        raise OpsinError("the map holds NaN or infinite values and cannot be drawn; explain the image again")
    signed = bool((values < 0).any()) if signed is None else signed
    high = float(np.abs(values).max()) if high is None else high
    shares = np.clip(values / high, -1 if signed else 0, 1) if high > 0 else np.zeros_like(values)
    colours = diverging()[levels(shares, -1, 1)] if signed else sequential()[levels(shares, 0, 1)]
    sizes = np.abs(shares)[..., None]
    # the photograph loses its own colours first, so that an orange thing is not taken for an orange map
    picture = image.astype(np.float32)
    grey = picture @ LUMA if image.shape[2] == 3 else picture[..., 0]
    picture = picture + (grey[..., None] - picture) * (1 - (1 - sizes) ** FADING)
    opacity = STRONGEST * sizes**0.75
    mixed = picture * (1 - opacity) + colours * opacity
    return Image.fromarray(np.round(mixed).astype(np.uint8))


def overlay_original(
    original: Image.Image | np.ndarray,
    values: np.ndarray,
    box: tuple[float, float, float, float],
    *,
    signed: bool | None = None,
    high: float | None = None,
) -> Image.Image:
    """A map laid on the original picture, at the place that the input was taken from; the rest is shown as it is.

    Args:
        original: the picture, upright, or uint8 `(h, w, c)`, c = 1 or 3.
        values: float `(h, w)`, the map at the input's size.
        box: top, left, bottom, right of the input in the original's pixels; it may reach beyond the picture.
        signed, high: as in `overlay`.

    Raises:
        OpsinError: the box lies outside the picture.
    """
    pixels = np.asarray(original.convert("RGB") if isinstance(original, Image.Image) else original)
    return overlay(pixels, spread(values, box, pixels.shape[:2]), signed=signed, high=high)


def spread(values: np.ndarray, box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """A map of the input as float32 `(height, width)` of the original picture: bilinear inside the box, zero outside.

    Raises:
        OpsinError: the box lies outside a picture of this size.
    """
    top, left, bottom, right = box
    height, width = size
    if not (top < bottom and left < right and bottom > 0 and right > 0 and top < height and left < width):
        raise OpsinError(
            f"the input lies at {tuple(round(edge, 1) for edge in box)}, outside a picture of {size} (height, width); "
            "give the picture that was explained"
        )
    rows, row_weights = _places(top, bottom, height, values.shape[0])
    columns, column_weights = _places(left, right, width, values.shape[1])
    # separable: first the rows, then the columns
    tall = values[rows[0]] * (1 - row_weights)[:, None] + values[rows[1]] * row_weights[:, None]
    wide = tall[:, columns[0]] * (1 - column_weights) + tall[:, columns[1]] * column_weights
    out = np.zeros(size, np.float32)
    inside_rows, inside_columns = (_inside(*edges) for edges in ((top, bottom, height), (left, right, width)))
    out[np.ix_(inside_rows, inside_columns)] = wide
    return out


def _inside(start: float, stop: float, length: int) -> np.ndarray:
    """The original's pixels whose centres lie in `start..stop`."""
    centres = np.arange(length) + 0.5
    return np.flatnonzero((centres >= start) & (centres < stop))


def _places(start: float, stop: float, length: int, count: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """For each of these pixels the two places of the map (of `count`) around it, and the weight of the second."""
    centres = (_inside(start, stop, length) + 0.5 - start) / (stop - start) * count - 0.5
    centres = np.clip(centres, 0, count - 1)
    first = np.floor(centres).astype(int)
    return (first, np.minimum(first + 1, count - 1)), (centres - first).astype(np.float32)
