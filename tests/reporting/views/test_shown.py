"""Values of any layer as maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.errors import OpsinError
from opsin.reporting.views.shown import Levels, map_box, map_positions, map_shape, node_position, shrunk_maps

SHAPES = st.lists(st.integers(1, 5), min_size=0, max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("shape", "maps"),
    [((), (1, 1, 1)), ((7,), (7, 1, 1)), ((4, 6), (1, 4, 6)), ((2, 3, 4), (2, 3, 4)), ((2, 3, 4, 5), (6, 4, 5))],
)
def test_any_shape_has_maps(shape: tuple[int, ...], maps: tuple[int, int, int]):
    assert map_shape(shape) == maps


@given(shape=SHAPES)
def test_positions_and_units_are_inverse(shape: tuple[int, ...]):
    places = np.array(list(np.ndindex(*shape)), np.int32).reshape(math.prod(shape), len(shape))
    units = map_positions(shape, places)
    values = np.arange(math.prod(shape)).reshape(shape)
    shown = values.reshape(map_shape(shape))
    for place, unit in zip(places, units, strict=True):
        assert node_position(shape, unit.tolist()) == tuple(place)
        assert values[tuple(place)] == shown[tuple(unit)]


@given(shape=SHAPES.filter(bool), data=st.data())
def test_a_box_holds_every_position_of_its_spans(shape: tuple[int, ...], data: st.DataObject):
    spans = []
    for length in shape:
        first = data.draw(st.integers(0, length - 1))
        spans.append((first, data.draw(st.integers(first + 1, length))))
    box = np.array(map_box(shape, spans)).reshape(3, 2)
    inside = np.array(list(np.ndindex(*[stop - start for start, stop in spans]))) + [start for start, _ in spans]
    units = map_positions(shape, inside)
    assert (units >= box[:, 0]).all()
    assert (units < box[:, 1]).all()
    assert np.array_equal(units.min(axis=0), box[:, 0])
    assert np.array_equal(units.max(axis=0) + 1, box[:, 1])


def test_padding_stays_outside():
    assert map_positions((2, 4, 4), np.array([[1, -1, 4]])).tolist() == [[1, -1, 4]]


def test_an_empty_span_is_an_empty_box():
    assert map_box((2, 4, 4), [(0, 2), (3, 3), (0, 4)]) == [0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("unit", [(0, 0), (2, 0, 0), (0, -1, 0), (0, 0, 4)])
def test_a_unit_outside_is_refused(unit: tuple[int, ...]):
    with pytest.raises(OpsinError, match=r"the layer's maps are \[2, 3, 4\]"):
        node_position((2, 3, 4), unit)


@given(height=st.integers(1, 40), width=st.integers(1, 40), side=st.integers(1, 16))
def test_shrunk_maps_are_means_over_squares(height: int, width: int, side: int):
    maps = np.random.default_rng(height * 41 + width).normal(size=(2, height, width)).astype(np.float32)
    found = shrunk_maps(maps, side)
    step = math.ceil(max(height, width) / side)
    assert max(found.shape[1:]) <= side
    for row, column in np.ndindex(*found.shape[1:]):
        cells = maps[:, row * step : (row + 1) * step, column * step : (column + 1) * step]
        np.testing.assert_allclose(found[:, row, column], cells.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_levels_give_the_values_back_to_half_a_level():
    maps = np.random.default_rng(0).normal(size=(5, 9, 8)).astype(np.float32)
    levels = Levels.of(maps, None)
    spread = (levels.high - levels.low)[:, None, None]
    again = levels.low[:, None, None] + levels.values / 255 * spread
    assert (np.abs(again - maps) <= spread / 255 * 0.501).all()
    assert np.array_equal(levels.low, maps.min(axis=(1, 2)))


def test_the_range_is_that_of_the_whole_map_however_it_is_sent():
    maps = np.zeros((1, 100, 100), np.float32)
    maps[0, 3, 4] = 9
    levels = Levels.of(maps, 10)
    assert levels.values.shape == (1, 10, 10)
    assert levels.high.tolist() == [9]


def test_constant_maps_and_nan_are_levels_too():
    maps = np.stack([np.full((3, 3), 7.0), np.full((3, 3), np.nan), np.full((3, 3), np.inf)]).astype(np.float32)
    levels = Levels.of(maps, None)
    assert levels.low.tolist() == [7, 0, 0]
    assert not levels.values.any()
