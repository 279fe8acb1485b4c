"""Overlays: what is zero stays as it was, what is high takes its colour, and the map lies where the input lay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.reporting.figures.colours import diverging, sequential
from opsin.reporting.pictures import display_pixels, overlay, overlay_original
from opsin.reporting.pictures.overlays import STRONGEST, spread

FLOATS = st.floats(-1e6, 1e6, width=32)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def explanation(inputs: np.ndarray, **given) -> Explanation:
    maps = np.zeros((len(inputs), *inputs.shape[2:]), np.float32)
    n = len(inputs)
    values = {
        "maps": maps, "inputs": inputs, "method": "grad_cam", "options": {}, "layer": "conv",
        "targets": np.zeros(n, np.int64), "classes": ("cat", "dog"), "names": tuple(f"{i}.png" for i in range(n)),
    }  # fmt: skip
    return Explanation(**{**values, **given})


@st.composite
def pictures(draw):
    """A picture and a map of it, with some places that are exactly zero."""
    shape = draw(SHAPES)
    image = draw(hnp.arrays(np.uint8, (*shape, draw(st.sampled_from([1, 3])))))
    values = draw(hnp.arrays(np.float32, shape, elements=FLOATS))
    zero = draw(hnp.arrays(np.bool_, shape))
    return image, np.where(zero, 0, values).astype(np.float32)


@settings(deadline=None)
@given(pictures(), st.sampled_from([None, True, False]), st.sampled_from([None, 1.0, 1e-3]))
def test_zero_changes_nothing_and_nothing_leaves_the_range_of_picture_and_colours(pair, signed, high):
    image, values = pair
    drawn = np.asarray(overlay(image, values, signed=signed, high=high))
    assert drawn.shape == (*values.shape, 3)
    photo = np.broadcast_to(image, drawn.shape)
    assert np.array_equal(drawn[values == 0], photo[values == 0])
    if signed is False:  # what is below zero is clipped to zero
        assert np.array_equal(drawn[values < 0], photo[values < 0])


@settings(deadline=None)
@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1e6, width=32)))
def test_equal_shares_are_drawn_alike_whatever_the_unit(values):
    image = np.full((*values.shape, 3), 77, np.uint8)
    assert np.array_equal(overlay(image, values), overlay(image, values * np.float32(4)))


def test_the_highest_value_takes_the_end_of_the_colours_and_lets_the_picture_through():
    image = np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8)
    for values, signed, end in [
        (np.ones((1, 2)), False, sequential()[254]),
        (np.ones((1, 2)), True, diverging()[254]),
        (-np.ones((1, 2)), True, diverging()[0]),
    ]:
        drawn = np.asarray(overlay(image, values, signed=signed)).astype(float)[0]
        assert np.abs(drawn[0] - STRONGEST * end).max() <= 1
        assert np.abs(drawn[1] - drawn[0] - 200 * (1 - STRONGEST)).max() <= 1


def test_a_signed_map_is_centred_at_zero_and_equal_magnitudes_are_equally_strong():
    image = np.zeros((1, 3, 3), np.uint8)
    drawn = np.asarray(overlay(image, np.array([[-0.5, 0.5, 1.0]]))).astype(int)[0]
    assert drawn[0, 2] > drawn[0, 0]  # blue
    assert drawn[1, 0] > drawn[1, 2]  # orange
    assert abs(drawn[0].max() - drawn[1].max()) < 40


@pytest.mark.parametrize(
    ("image", "values", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4)), "expected uint8"),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4)), "expected uint8"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5)), r"a map \(4, 5\)"),
        (np.zeros((4, 4, 3), np.uint8), np.full((4, 4), np.nan), "NaN"),
    ],
)
def test_what_cannot_be_drawn_is_refused(image, values, message):
    with pytest.raises(OpsinError, match=message):
        overlay(image, values)


# -- the inputs as pixels --


@settings(deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.just(2), st.sampled_from([1, 3]), st.integers(1, 5), st.integers(1, 5))))
def test_pixels_come_back_through_display(pixels):
    channels = pixels.shape[1]
    mean, std = (0.4, 0.5, 0.6)[:channels], (0.2, 0.3, 0.25)[:channels]
    shape = (1, channels, 1, 1)
    inputs = ((pixels / 255 - np.reshape(mean, shape)) / np.reshape(std, shape)).astype(np.float32)
    assert np.array_equal(display_pixels(explanation(inputs, display=(mean, std))), pixels.transpose(0, 2, 3, 1))


def test_transparency_lies_on_white_and_without_display_each_input_has_its_own_scale():
    grey_alpha = np.stack([np.full((1, 2), 0.2), np.array([[1.0, 0.0]])])[None].astype(np.float32)
    shown = display_pixels(explanation(grey_alpha, display=((0.0, 0.0), (1.0, 1.0))))
    assert shown.squeeze().tolist() == [51, 255]
    inputs = np.array([[[[-3.0, 7.0]]], [[[10.0, 10.0]]]], np.float32)
    assert display_pixels(explanation(inputs)).squeeze().tolist() == [[0, 255], [0, 0]]
    assert display_pixels(explanation(np.zeros((1, 5, 2, 2), np.float32))).shape == (1, 2, 2, 3)


# -- on the original --


@pytest.mark.parametrize("times", [(1, 1), (3, 2), (7, 7)])
def test_a_map_of_the_whole_picture_is_resized_as_pytorch_does(times):
    values = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    size = (5 * times[0], 6 * times[1])
    expected = F.interpolate(torch.from_numpy(values)[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    assert np.allclose(spread(values, (0, 0, *size), size), expected, atol=1e-6)


@settings(deadline=None)
@given(
    st.tuples(st.floats(-20, 20), st.floats(-20, 20)), st.tuples(st.floats(1, 60), st.floats(1, 60)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    hnp.arrays(np.float32, SHAPES, elements=st.floats(1, 9, width=32)),
)  # fmt: skip
def test_a_map_covers_exactly_the_pixels_in_its_box(corner, edges, size, values):
    box = (corner[0], corner[1], corner[0] + edges[0], corner[1] + edges[1])
    if box[2] <= 0 or box[3] <= 0 or box[0] >= size[0] or box[1] >= size[1]:
        with pytest.raises(OpsinError, match="outside a picture"):
            spread(values, box, size)
        return
    found = spread(values, box, size)
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    inside = (rows >= box[0]) & (rows < box[2]) & (columns >= box[1]) & (columns < box[3])
    assert np.array_equal(found > 0, inside)
    assert found.max(initial=0) <= values.max() * (1 + 1e-6)


def test_what_lies_beyond_the_input_is_shown_as_it_is():
    photo = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    drawn = np.asarray(overlay_original(Image.fromarray(photo), np.ones((8, 8), np.float32), (0, 10, 40, 50)))
    assert np.array_equal(drawn[:, :10], photo[:, :10])
    assert np.array_equal(drawn[:, 50:], photo[:, 50:])
    assert not np.array_equal(drawn[:, 10:50], photo[:, 10:50])


def test_an_explanation_draws_itself(tmp_path):
    inputs = np.zeros((2, 1, 28, 28), np.float32)
    maps = np.zeros((2, 28, 28), np.float32)
    maps[1, 3, 4] = 1
    why = explanation(inputs, maps=maps, display=((0.0,), (1.0,)))
    drawn = np.asarray(why.overlay(1))
    assert drawn.shape == (224, 224, 3)  # enlarged without blur: one pixel is one square
    lit = drawn.max(axis=2) > 0
    assert lit.sum() == 64
    assert lit[24:32, 32:40].all()
    assert not np.asarray(why.overlay()).any()
    assert not np.asarray(why.overlay(-2)).any()
    with pytest.raises(OpsinError, match="image 2 was asked for"):
        why.overlay(2)
    with pytest.raises(OpsinError, match="not known where the inputs lie"):
        why.overlay(original=np.zeros((5, 5), np.uint8))


def test_an_original_may_be_a_file_an_image_or_an_array_and_is_shrunk_where_it_is_long(tmp_path):
    photo = np.full((300, 400, 3), 90, np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    maps = np.ones((1, 10, 10), np.float32)
    geometry = np.array([[0.0, 50.0, 300.0, 350.0]])
    why = explanation(np.zeros((1, 3, 10, 10), np.float32), maps=maps, geometry=geometry)
    drawn = [np.asarray(why.overlay(original=form)) for form in (photo, Image.fromarray(photo), tmp_path / "photo.png")]
    assert all(np.array_equal(one, drawn[0]) for one in drawn)
    small = np.asarray(why.overlay(original=photo, longest=200))
    assert small.shape == (224 // 150 * 150, 224 // 200 * 200, 3)
    assert (small[:, :25] == 90).all()
    assert (small[:, 26:174] != 90).any(axis=2).all()
