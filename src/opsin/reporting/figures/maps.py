"""Sheets of feature maps and filters, and sprites that hold a layer at every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.reporting.figures.colours import GAP, diverging, levels
from opsin.reporting.figures.images import map_png, overlay_png, png, sheet, tile
from opsin.reporting.parts.film import FilmLayer
from opsin.reporting.parts.filters import FilterBank
from opsin.reporting.parts.why import Map
from opsin.reporting.pictures import overlay

WIDE = 1032  # CSS pixels of a full-width sheet
LARGEST_PIXEL = 24  # CSS pixels of one value
MAP_COLUMNS, VECTOR_COLUMNS = 16, 64


@dataclass(frozen=True)
class Drawn:
    """A picture: its data URI, its size in pixels, and by how much the page enlarges it. Of a sprite, `height` is that
    of one frame."""

    uri: str
    width: int
    height: int
    zoom: int


def film_sprite(layer: FilmLayer, image: int) -> Drawn:
    """All steps of one layer and image, one below the other."""
    frames = [_frame(values[image], layer) for values in layer.values]
    height, width = frames[0].shape
    return Drawn(map_png(np.concatenate(frames), layer.signed), width, height, zoom(width))


def filter_sheet(weights: np.ndarray, bank: FilterBank) -> Drawn:
    """The filters of a bank on one sheet: colours where they are colours, otherwise one signed map per input."""
    count, inputs, _, side = weights.shape
    if bank.kind == "colour":
        shades = np.clip(np.round(weights / (bank.peak or 1.0) * 127 + 128), 0, 255).astype(np.uint8)
        opaque = np.full((count, *weights.shape[2:], 1), 255, np.uint8)
        whole = tile(np.concatenate([np.moveaxis(shades, 1, -1), opaque], axis=-1), 16, 0)
        uri = png(whole)
    elif weights.shape[2:] == (1, 1):
        whole = levels(weights[..., 0, 0], -bank.peak, bank.peak)  # a plain matrix: there is no picture to set apart
        uri = map_png(whole, True)
    else:
        columns = inputs if inputs > 1 else 16
        whole = sheet(weights.reshape(count * inputs, *weights.shape[2:]), -bank.peak, bank.peak, columns)
        uri = map_png(whole, True)
    height, width = whole.shape[:2]
    return Drawn(uri, width, height, min(zoom(width, WIDE // 2), max(1, 48 // side)))


def share_map(shares: np.ndarray) -> Drawn:
    """A matrix of shares 0..1, one pixel per entry."""
    height, width = shares.shape
    return Drawn(map_png(levels(shares, 0, 1), False), width, height, zoom(width))


def mean_map(values: np.ndarray, high: float) -> np.ndarray:
    """uint8 `(h, w, 3)`: a signed map in its colours, full at a magnitude of `high`."""
    return diverging()[levels(values, -high, high)]


def laid_over(pixels: np.ndarray, shown: Map, signed: bool) -> str:
    """A data URI of a map on its picture uint8 `(h, w, c)`."""
    return overlay_png(overlay(pixels, shown.values, signed=signed, high=shown.full))


def zoom(width: int, room: int = WIDE) -> int:
    """The largest whole number by which `width` pixels can be enlarged."""
    return int(np.clip(room // max(width, 1), 1, LARGEST_PIXEL))


def _frame(values: np.ndarray, layer: FilmLayer) -> np.ndarray:
    if values.ndim == 3:
        return sheet(values, layer.low, layer.high, MAP_COLUMNS)
    columns = min(VECTOR_COLUMNS, len(values))
    rows = -(-len(values) // columns)
    out = np.full(rows * columns, GAP, np.uint8)
    out[: len(values)] = levels(values, layer.low, layer.high)
    return out.reshape(rows, columns)
