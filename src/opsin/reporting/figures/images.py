"""Pictures as data: PNG for everything that has to be exact, sheets of maps with a colour map."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from opsin.reporting.figures.colours import GAP, diverging, levels, sequential


def png(image: np.ndarray) -> str:
    """A data URI of uint8 `(h, w, c)`, c = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA: exact, pixel by pixel."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return _uri(picture)


def overlay_png(picture: Image.Image) -> str:
    """A data URI of a map on a photograph, large ones in the 256 colours that serve them best: half the size, and no
    difference can be seen. Nobody reads a value off an overlay."""
    return _uri(picture.quantize(256, Image.Quantize.MEDIANCUT) if picture.width * picture.height > 4096 else picture)


def map_png(indices: np.ndarray, signed: bool) -> str:
    """A data URI of palette indices uint8 `(h, w)`: levels 0..254 in the sequential (or the signed) colours, `GAP`
    transparent."""
    picture = Image.fromarray(indices)
    picture.putpalette([*(diverging() if signed else sequential()).ravel().tolist(), 0, 0, 0])
    return _uri(picture, transparency=GAP)


def sheet(maps: np.ndarray, low: float, high: float, columns: int) -> np.ndarray:
    """Maps `(c, h, w)` side by side as palette indices, `columns` in a row, one transparent pixel between them."""
    return tile(levels(maps, low, high), columns, GAP)


def tile(maps: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """uint8 `(n, h, w)` or `(n, h, w, c)` side by side, `columns` in a row, with one pixel of `gap` between them."""
    count, height, width = maps.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    out = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, *maps.shape[3:]), gap, np.uint8)
    for position, one in enumerate(maps):
        top, left = position // columns * (height + 1), position % columns * (width + 1)
        out[top : top + height, left : left + width] = one
    return out


def ramp(signed: bool) -> str:
    """A data URI of the colour scale itself, 255 x 1 pixels."""
    return map_png(np.arange(255, dtype=np.uint8)[None], signed)


def _uri(picture: Image.Image, **options: int) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
