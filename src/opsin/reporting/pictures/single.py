"""One explained image as a picture of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from opsin.data.decode import Decoded, decode, from_array, from_pil
from opsin.data.images import shrunk
from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.reporting.pictures.overlays import display_pixels, overlay, overlay_original
from opsin.reporting.pictures.pieces import SIDE, fitted, highs, is_signed

Original = Image.Image | np.ndarray | str | Path


def overlay_of(explanation: Explanation, index: int, original: Original | None, longest: int) -> Image.Image:
    """What `Explanation.overlay` gives.

    Raises:
        OpsinError: there is no such image, or it is not known where the input lies in the original.
    """
    count = len(explanation)
    if not -count <= index < count:
        raise OpsinError(f"image {index} was asked for, and the explanation holds {count}; give 0 to {count - 1}")
    position = index % count
    values, signed = explanation.maps[position], is_signed(explanation)
    high = float(highs(explanation.rows([position]), "image")[0])
    if original is None:
        return _enlarged(overlay(display_pixels(explanation.rows([position]))[0], values, signed=signed, high=high))
    if explanation.geometry is None:
        raise OpsinError(
            "it is not known where the inputs lie in the original pictures: they were given as tensors; explain the "
            "pictures themselves, or leave original out"
        )
    decoded = _decoded(original)
    picture = shrunk(decoded.picture, longest)
    across, down = picture.width / decoded.size[1], picture.height / decoded.size[0]
    top, left, bottom, right = explanation.geometry[position]
    box = (top * down, left * across, bottom * down, right * across)
    return _enlarged(overlay_original(picture, values, box, signed=signed, high=high))


def _enlarged(picture: Image.Image) -> Image.Image:
    """Small pictures in whole steps and pixelated; large ones as they are."""
    return fitted(picture, max(SIDE, *picture.size))


def _decoded(original: Original) -> Decoded:
    if isinstance(original, np.ndarray):
        return from_array(original)
    return from_pil(original) if isinstance(original, Image.Image) else decode(original)
