"""Heat maps as they are sent: one byte per place, zero kept exactly."""

from __future__ import annotations

import numpy as np
from PIL import Image

from opsin.reporting.pictures.pieces import FULL_COLOUR
from opsin.reporting.texts import LANGUAGES, Text, packaged

SIDE = 224
"""Pixels of the longer side of a map and of the picture below it: what is larger is shrunk."""
ZERO = 127  # the byte that stands for zero in a signed map


def quantise(maps: np.ndarray, side: int = SIDE) -> dict[str, np.ndarray]:
    """Maps as bytes. What lies beyond the full colour is clipped, so that one outlying pixel costs no precision.

    Args:
        maps: float `(n, h, w)`, finite.
        side: of what is sent.

    Returns:
        `maps` uint8 `(n, h, w)`; `low`, `high` float32 `(n,)`: what 0 and 255 stand for; `smallest`, `largest` float32
        `(n,)`: of the whole map; `full` float32 `(n,)`: the magnitude of the full colour, under which 99.5 % of the
        places lie.
    """
    small = np.stack([shrink(one[..., None].astype(np.float32), side)[..., 0] for one in maps]) if len(maps) else maps
    sizes = np.abs(small).reshape(len(small), -1)
    full = np.quantile(sizes, FULL_COLOUR, axis=1) if len(small) else np.zeros(0)
    full = np.where(full > 0, full, sizes.max(axis=1, initial=0)).astype(np.float32)
    signed = (maps < 0).reshape(len(maps), -1).any(axis=1)
    step = np.where(signed, full / ZERO, full / 255)
    offset = np.where(signed, ZERO, 0)
    shares = np.divide(small, step[:, None, None], out=np.zeros_like(small), where=step[:, None, None] > 0)
    least = np.where(signed, -ZERO, 0)[:, None, None]
    most = np.where(signed, ZERO, 255)[:, None, None]
    return {
        "maps": (np.clip(np.round(shares), least, most) + offset[:, None, None]).astype(np.uint8),
        "low": (-offset * step).astype(np.float32),
        "high": ((255 - offset) * step).astype(np.float32),
        "smallest": maps.reshape(len(maps), -1).min(axis=1, initial=np.inf).astype(np.float32),
        "largest": maps.reshape(len(maps), -1).max(axis=1, initial=-np.inf).astype(np.float32),
        "full": full,
    }


def shrink(values: np.ndarray, side: int = SIDE) -> np.ndarray:
    """`(h, w, c)`, uint8 or one channel of float32, with a longer side of at most `side`, averaged."""
    height, width, channels = values.shape
    if max(height, width) <= side:
        return values
    size = (max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width))))
    picture = Image.fromarray(values[..., 0] if channels == 1 else values)
    return np.asarray(picture.resize(size, Image.Resampling.BOX)).reshape(size[1], size[0], channels)


def spoken(text: Text | str) -> dict[str, str]:
    """A text in every language, by language; a string is data, the same in all."""
    if isinstance(text, str):
        return dict.fromkeys(LANGUAGES, text)
    return {language: packaged().lower(text, language) for language in LANGUAGES}
