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
from opsin.reporting.pictures.pieces import fitted, is_signed

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
    if original is None:
        picture = overlay(display_pixels(explanation.rows([position]))[0], values, signed=signed)
        return fitted(picture, max(224, *picture.size))
    if explanation.geometry is None:
        raise OpsinError(
            "it is not known where the inputs lie in the original pictures: they were given as tensors; explain the "
            "pictures themselves, or leave original out"
        )
    decoded = _decoded(original)
    picture = shrunk(decoded.picture, longest)
    across, down = picture.width / decoded.size[1], picture.height / decoded.size[0]
    top, left, bottom, right = explanation.geometry[position]
    return overlay_original(picture, values, (top * down, left * across, bottom * down, right * across), signed=signed)


def _decoded(original: Original) -> Decoded:
    if isinstance(original, np.ndarray):
        return from_array(original)
    return from_pil(original) if isinstance(original, Image.Image) else decode(original)
