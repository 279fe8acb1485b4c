"""Colour maps and class colours: colour carries data, so there is one map for each kind of it."""

from __future__ import annotations

from functools import cache

import numpy as np

GAP = 255
"""The palette index that is transparent: the space between two maps on a sheet. Levels are 0..254."""

# Okabe and Ito (2008), "Color Universal Design". The eighth is black; the page writes it in the ink of the theme.
CLASS_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#a8a000", "currentColor")
MARKS = ("dot", "cross", "square")
"""The ninth class takes the first colour again with the next mark."""


@cache
def sequential() -> np.ndarray:
    """uint8 `(255, 3)`: near black over violet and orange to pale yellow, in even steps of perceived lightness.

    Lightness of OKLab (Ottosson 2020) rises in a straight line from 0.16 to 0.97 while the hue turns from 285 over 360
    to 465 degrees; the chroma is an arch that stays within sRGB.
    """
    t = np.linspace(0, 1, 255)
    hue = np.radians(285 + 180 * t)
    chroma = 0.03 + 0.125 * np.sin(np.pi * t)
    return _srgb(0.16 + 0.81 * t, chroma * np.cos(hue), chroma * np.sin(hue))


@cache
def diverging() -> np.ndarray:
    """uint8 `(255, 3)`: blue over a dark neutral to orange; entry 127 is zero.

    Both arms rise in OKLab lightness from 0.22 to 0.84 alike, so that equal magnitudes look equally bright and zero
    recedes, as it does in `sequential`.
    """
    t = np.linspace(-1, 1, 255)
    size = np.abs(t)
    hue = np.radians(np.where(t < 0, 245, 62))
    chroma = 0.14 * size**0.7
    return _srgb(0.22 + 0.62 * size, chroma * np.cos(hue), chroma * np.sin(hue))


def hex_of(share: float) -> str:
    """The sequential colour at a share of its middle part (0..1), which reads on white and on black: for lines that
    have an order, such as layers by depth."""
    red, green, blue = sequential()[round(90 + 90 * min(max(share, 0.0), 1.0))]
    return f"#{red:02x}{green:02x}{blue:02x}"


def class_style(index: int) -> tuple[str, str]:
    """Colour and mark of a class."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)], MARKS[index // len(CLASS_COLOURS) % len(MARKS)]


def levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8 levels 0..254 of `low..high`; what lies outside is clipped."""
    scale = (high - low) or 1.0
    return np.round(np.clip((np.nan_to_num(values) - low) / scale, 0, 1) * 254).astype(np.uint8)


def _srgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """OKLab to 8-bit sRGB, clipped (https://bottosson.github.io/posts/oklab)."""
    lms = (
        np.stack(
            [
                lightness + 0.3963377774 * a + 0.2158037573 * b,
                lightness - 0.1055613458 * a - 0.0638541728 * b,
                lightness - 0.0894841775 * a - 1.2914855480 * b,
            ]
        )
        ** 3
    )
    matrix = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(matrix @ lms, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded.T * 255).astype(np.uint8)
