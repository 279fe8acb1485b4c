"""Pictures moved within their frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.errors import OpsinError
from opsin.reporting.views.moving import Move, moved

RANDOM = np.random.default_rng(0)


def picture(height: int = 12, width: int = 15, channels: int = 3) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, channels), np.uint8)


def test_what_does_not_move_is_the_same_picture():
    pixels = picture()
    assert moved(pixels, Move()) is pixels


def test_whole_shifts_go_down_and_right_and_repeat_the_edge():
    pixels = picture()
    found = moved(pixels, Move(shift=(2, 3)))
    assert np.array_equal(found[2:, 3:], pixels[:-2, :-3])
    assert np.array_equal(found[0, 3:], pixels[0, :-3])
    assert np.array_equal(found[5, :3], np.repeat(pixels[3, :1], 3, axis=0))


def test_a_quarter_turn_is_counter_clockwise_as_seen():
    pixels = picture(11, 11)
    assert np.array_equal(moved(pixels, Move(rotate=90)), np.rot90(pixels))
    assert np.array_equal(moved(pixels, Move(rotate=-90)), np.rot90(pixels, -1))


def test_enlarging_keeps_the_middle_and_doubles_distances():
    pixels = np.zeros((21, 21, 1), np.uint8)
    pixels[8:13, 8:13] = 200
    found = moved(pixels, Move(scale=2))
    assert found[10, 10, 0] == 200
    # 5 x 5 become 9 x 9 between the middles of the outermost, and the slopes beside them
    assert (found[10, :, 0] == 200).sum() == 9
    assert (moved(pixels, Move(scale=0.5))[..., 0] > 0).sum() < 25


@given(
    shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)), rotate=st.floats(-720, 720), scale=st.floats(0.1, 10),
    value=st.integers(0, 255),
)  # fmt: skip
def test_an_even_picture_stays_even(shift: tuple[float, float], rotate: float, scale: float, value: int):
    pixels = np.full((7, 9, 2), value, np.uint8)
    assert (moved(pixels, Move(shift, rotate, scale)) == value).all()


@given(angle=st.floats(-360, 360))
def test_turned_by_a_slow_twin(angle: float):
    """The formula of the docstring, pixel by pixel."""
    pixels = np.arange(5 * 6, dtype=np.uint8).reshape(5, 6, 1) * 8
    found = moved(pixels, Move(shift=(0.5, -1.25), rotate=angle, scale=1.5))
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    for row in range(5):
        for column in range(6):
            down, across = row - 2 - 0.5, column - 2.5 + 1.25
            y = min(max((cosine * down + sine * across) / 1.5 + 2, 0), 4)
            x = min(max((cosine * across - sine * down) / 1.5 + 2.5, 0), 5)
            top, left = int(y), int(x)
            corners = [
                (1 - abs(y - r)) * (1 - abs(x - c)) * float(pixels[r, c, 0])
                for r in {top, min(top + 1, 4)}
                for c in {left, min(left + 1, 5)}
            ]
            assert abs(float(found[row, column, 0]) - sum(corners)) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"scale": 0.0}, "scale was given as 0"), ({"scale": 99.0}, "99"), ({"shift": (1e9, 0.0)}, "at most 4096 pixels")],
)
def test_what_is_out_of_range_is_said(settings: dict, said: str):
    with pytest.raises(OpsinError, match=said):
        Move(**settings)
