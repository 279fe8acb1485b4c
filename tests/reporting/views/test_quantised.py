"""Heat maps as bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from opsin.reporting.texts import say
from opsin.reporting.views.quantised import SIDE, quantise, shrink, spoken

values = st.floats(-1e3, 1e3, width=32, allow_subnormal=False).map(lambda value: 0.0 if abs(value) < 1e-6 else value)


def restored(sent: dict[str, np.ndarray]) -> np.ndarray:
    low, high = sent["low"][:, None, None].astype(np.float64), sent["high"][:, None, None].astype(np.float64)
    return low + sent["maps"] / 255 * (high - low)


@given(arrays.arrays(np.float32, (2, 5, 7), elements=values))
def test_values_come_back_to_half_a_step_and_zero_exactly(maps):
    sent = quantise(maps)
    back = restored(sent)
    full = sent["full"][:, None, None].astype(np.float64)
    step = (sent["high"] - sent["low"])[:, None, None] / 255
    clipped = np.clip(maps, -full, full)
    assert (np.abs(back - clipped) <= 0.5001 * step + 1e-12).all()
    assert (np.abs(back[maps == 0]) <= 1e-6 * max(full.max(), 1)).all()
    assert np.array_equal(sent["smallest"], maps.min(axis=(1, 2)))
    assert np.array_equal(sent["largest"], maps.max(axis=(1, 2)))


def test_one_outlier_does_not_hide_the_rest():
    maps = np.full((1, 40, 40), 0.5, np.float32)
    maps[0, 0, 0] = 1000
    sent = quantise(maps)
    assert sent["full"][0] == pytest.approx(0.5)
    assert sent["largest"][0] == 1000
    assert sent["maps"][0, 5, 5] == 255


def test_a_blank_map_is_zeros():
    sent = quantise(np.zeros((1, 4, 4), np.float32))
    assert not sent["maps"].any()
    assert sent["full"][0] == sent["high"][0] == 0


def test_large_maps_are_averaged_and_keep_their_shape():
    ramp = np.linspace(0, 1, 448 * 448, dtype=np.float32).reshape(448, 448, 1)
    small = shrink(ramp)
    assert small.shape == (SIDE, SIDE, 1)
    assert small[0, 0, 0] == pytest.approx(ramp[:2, :2].mean(), abs=1e-6)
    assert shrink(np.zeros((448, 100, 3), np.uint8)).shape == (224, 50, 3)
    assert shrink(ramp[:20, :30]) is not None
    assert shrink(ramp[:20, :30]).shape == (20, 30, 1)


def test_texts_are_sent_in_every_language_and_data_as_it_is():
    assert spoken(say("why.blank")) == {"en": "blank", "zh-CN": "空白"}
    assert spoken("<script>") == {"en": "<script>", "zh-CN": "<script>"}
