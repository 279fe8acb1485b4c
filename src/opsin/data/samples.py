"""What a source holds before it becomes 8-bit pixels, and the arithmetic that turns one into the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

Mode = Literal["L", "LA", "RGB", "RGBA"]
MODES: tuple[str, ...] = get_args(Mode)
Window = tuple[float, float]
# what makes a picture upright, by EXIF orientation (EXIF 2.32, tag 0x0112)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class RefusedError(Exception):
    """Why bytes are no picture, as a short clause. `opsin.data.decode` adds the file's name."""


@dataclass(frozen=True)
class Samples:
    """The values of one picture as its source holds them.

    Attributes:
        values: a Pillow image of mode L, LA, RGB or RGBA, or an array `(h, w, c)`, c = 1 grey, 2 grey and alpha, 3 RGB,
            4 RGBA; uint8, or any deeper integer or float.
        source_mode: what the source calls them, such as `CMYK` or `I;16`.
        frames: how many pictures the source holds; `values` is the first.
        window: the values that become 0 and 255, where the source says so; else it is chosen from the values.
        inverted: small values are bright (white-is-zero TIFF, MONOCHROME1).
        orientation: EXIF orientation 1..8 still to be applied.
        notes: what was done that a reader may want to know.
    """

    values: Image.Image | np.ndarray
    source_mode: str
    frames: int = 1
    window: Window | None = None
    inverted: bool = False
    orientation: int = 1
    notes: tuple[str, ...] = ()


def upright_picture(samples: Samples) -> tuple[Image.Image, Window | None]:
    """The samples as an upright Pillow image of mode L, LA, RGB or RGBA, and the window (None for 8-bit values).

    Grey values run from the smallest to the largest that the picture holds, so that no depth is wasted on values
    that it does not use. In colour that would shift the hues: there 0 stays black and white is the largest value of
    the smallest bit depth (8 or more) that holds the picture's brightest. Alpha always spans its full depth.
    """
    picture, window = samples.values, None
    if not isinstance(picture, Image.Image):
        pixels, window = _eight_bit(picture, samples.window, samples.inverted)
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    turn = _TURNS.get(samples.orientation)
    return (picture if turn is None else picture.transpose(turn)), window


def _eight_bit(values: np.ndarray, window: Window | None, inverted: bool) -> tuple[np.ndarray, Window | None]:
    opaque = 3 if values.shape[2] >= 3 else 1
    if values.dtype == np.uint8 and window is None:
        pixels = values
    else:
        window = window or _own_window(values[..., :opaque])
        full = 255 if values.dtype == np.uint8 else 65535
        alpha = _through_window(values[..., opaque:], (0, full))
        pixels = np.concatenate([_through_window(values[..., :opaque], window), alpha], axis=2)
    if inverted:
        pixels = np.concatenate([255 - pixels[..., :opaque], pixels[..., opaque:]], axis=2)
    return pixels, window


def _own_window(values: np.ndarray) -> Window:
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
        if not values.size:
            return 0.0, 0.0
    low, high = values.min(), values.max()
    if values.ndim == 3 and values.shape[2] == 3:
        return 0.0, float(2 ** max(8, int(high).bit_length()) - 1)
    if low == high and values.dtype == np.uint16:
        return 0.0, 65535.0  # a flat picture has no range of its own: full depth keeps white white and black black
    return float(low), float(high)


def _through_window(values: np.ndarray, window: Window) -> np.ndarray:
    low, high = window
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    if values.dtype in (np.uint8, np.uint16):
        # every possible value once: exact, and quicker than arithmetic on every pixel
        return _scaled(np.arange(np.iinfo(values.dtype).max + 1, dtype=np.float64), low, high)[values]
    return _scaled(values.astype(np.float64), low, high)


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        share = (values - low) / (high - low)
        return np.rint(np.clip(np.nan_to_num(share, nan=0.0), 0, 1) * 255).astype(np.uint8)


def in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """An L, LA, RGB or RGBA picture as `mode`. Alpha that it lacks is laid on white; grey of colour is BT.601 luma."""
    if picture.mode.endswith("A") and not mode.endswith("A"):
        picture = _on_white(np.asarray(picture))
    return picture if picture.mode == mode else picture.convert(mode)


def _on_white(pixels: np.ndarray) -> Image.Image:
    # colour * alpha + 255 * (255 - alpha) is at most 255 * 255, so uint16 holds it with its rounding term
    colour, alpha = pixels[..., :-1], pixels[..., -1:].astype(np.uint16)
    blend = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return Image.fromarray(blend[..., 0] if blend.shape[2] == 1 else blend)
