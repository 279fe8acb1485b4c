"""Colour maps: even steps of lightness, zero in the middle, and classes that stay apart."""

import numpy as np

from opsin.reporting.figures.colours import GAP, class_style, diverging, hex_of, levels, sequential


def lightness(rgb: np.ndarray) -> np.ndarray:
    """OKLab lightness of sRGB (Ottosson 2020), the other way round than the code under test computes it."""
    values = rgb / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    lms = linear @ np.array([
        [0.4122214708, 0.2119034982, 0.0883024619],
        [0.5363325363, 0.6806995451, 0.2817188376],
        [0.0514459929, 0.1073969566, 0.6299787005],
    ])  # fmt: skip
    return np.cbrt(lms) @ [0.2104542553, 0.7936177850, -0.0040720468]


def test_the_sequential_map_rises_in_a_straight_line():
    values = lightness(sequential())
    np.testing.assert_allclose(values, np.linspace(0.16, 0.97, 255), atol=0.012)
    assert sequential().min() > 0  # nothing was clipped away
    assert sequential().max() < 255


def test_the_signed_map_is_dark_at_zero_and_equally_bright_on_both_sides():
    values = lightness(diverging())
    assert values.argmin() == 127
    np.testing.assert_allclose(values[:127], values[:127:-1], atol=0.03)
    assert len(set(diverging()[127].tolist())) == 1  # a grey
    blue, orange = diverging()[0], diverging()[254]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]


def test_levels_clip_and_never_use_the_transparent_entry():
    found = levels(np.array([-5.0, 0.0, 0.5, 1.0, 9.0, np.nan]), 0.0, 1.0)
    assert found.tolist() == [0, 0, 127, 254, 254, 0]
    assert found.max() < GAP
    assert levels(np.zeros(2), 0.0, 0.0).tolist() == [0, 0]


def test_the_first_24_classes_all_look_different():
    assert len({class_style(i) for i in range(24)}) == 24
    assert class_style(0) == class_style(24)


def test_depth_colours_get_lighter():
    shades = [lightness(np.array([[int(hex_of(t)[i : i + 2], 16) for i in (1, 3, 5)]]))[0] for t in (0, 0.5, 1)]
    assert shades == sorted(shades)
