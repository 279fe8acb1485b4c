"""Boxes: against the masks that they stand for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opsin.evidence.shortcuts.boxes import area, around, inside, join, overlap, windows

SIDE = 12


@st.composite
def boxes(draw):
    top, left = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
    return top, left, draw(st.integers(top + 1, SIDE)), draw(st.integers(left + 1, SIDE))


def mask(box):
    places = np.zeros((SIDE, SIDE), bool)
    places[inside(box)] = True
    return places


@given(boxes(), boxes())
def test_boxes_are_what_their_masks_are(first, second):
    assert area(first) == mask(first).sum()
    assert overlap(first, second) == (mask(first) & mask(second)).sum()
    assert around(mask(first)) == first
    assert join(first, second) == around(mask(first) | mask(second))


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 6))
def test_windows_cover_the_picture_and_stay_in_it(height, width, stride):
    found = windows((SIDE, SIDE), height, width, stride)
    assert {(b - t, r - left) for t, left, b, r in found} == {(height, width)}
    assert all(t >= 0 and left >= 0 and b <= SIDE and r <= SIDE for t, left, b, r in found)
    assert len(set(found)) == len(found)
    if stride <= min(height, width):
        assert np.logical_or.reduce([mask(box) for box in found]).all()
