"""Pictures as data: exact, in the right place, transparent between."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from opsin.reporting.figures.colours import GAP, diverging, sequential
from opsin.reporting.figures.images import map_png, png, ramp, sheet, tile


def opened(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 4]), st.integers(0, 99))
def test_an_image_comes_back_exactly(height, width, channels, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    found = np.asarray(opened(png(image))).reshape(height, width, channels)
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("signed", [False, True])
def test_a_map_shows_its_level_in_its_colours_and_gaps_are_transparent(signed):
    indices = np.array([[0, 127, 254, GAP]], np.uint8)
    found = np.asarray(opened(map_png(indices, signed)).convert("RGBA"))[0]
    table = diverging() if signed else sequential()
    np.testing.assert_array_equal(found[:3, :3], table[[0, 127, 254]])
    assert found[:, 3].tolist() == [255, 255, 255, 0]
    assert opened(ramp(signed)).size == (255, 1)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5), st.integers(1, 6))
def test_tiles_stand_where_a_loop_puts_them(count, height, width, columns):
    maps = np.random.default_rng(count).integers(0, 255, (count, height, width), np.uint8)
    found = tile(maps, columns, GAP)
    kept = np.full(found.shape, GAP, np.uint8)
    for i in range(count):
        row, column = divmod(i, min(columns, count))
        top, left = row * (height + 1), column * (width + 1)
        np.testing.assert_array_equal(found[top : top + height, left : left + width], maps[i])
        kept[top : top + height, left : left + width] = maps[i]
    np.testing.assert_array_equal(found, kept)  # everything else is gap


def test_a_sheet_scales_with_the_given_range():
    found = sheet(np.array([[[0.0, 2.0]], [[4.0, 8.0]]]), 0.0, 4.0, 2)
    assert found.tolist() == [[0, 127, GAP, 254, 254]]
