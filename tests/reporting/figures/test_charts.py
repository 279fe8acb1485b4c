"""Curves: axes with round numbers, lines where the numbers are, everything escaped."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from opsin.reporting.figures import charts
from opsin.reporting.figures.charts import (
    LEFT,
    RIGHT,
    TOP,
    Frame,
    panel_chart,
    reliability_chart,
    sparkline,
    unit_chart,
)
from opsin.reporting.figures.maps import film_sprite, filter_sheet, share_map, zoom
from opsin.reporting.figures.scatter import scatter, swatch
from opsin.reporting.figures.svg import MOST_POINTS, Axis, around, element, nice, path
from opsin.reporting.parts.curves import Flag, Line, Panel
from opsin.reporting.parts.film import FilmLayer
from opsin.reporting.parts.filters import FilterBank
from opsin.reporting.texts import say

LABEL = Markup('aria-label="x"')
FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(FINITE, FINITE, st.integers(2, 8))
def test_ticks_are_round_and_lie_on_the_axis(a, b, count):
    low, high = sorted((a, b))
    if high - low < 1e-6 * max(1, abs(low), abs(high)):
        return
    ticks = Axis(low, high).ticks(count)
    room = 1e-6 * (high - low)
    assert 1 <= len(ticks) <= count + 1 or count < 3
    for value, text in ticks:
        assert low - room <= value <= high + room
        assert text != "-0"


@given(st.floats(1e-12, 1e12))
def test_nice_steps_are_one_two_five(step):
    found = nice(step)
    assert step * (1 - 1e-6) <= found <= 2.5 * step * (1 + 1e-6)
    assert f"{found:.0e}"[0] in "125"


def test_a_log_axis_has_whole_powers_and_skips_zeros():
    axis = around(np.array([0.0, 2e-4, 0.3, np.nan]), log=True)
    assert (axis.low, axis.high) == (1e-4, 1.0)
    assert [text for _, text in axis.ticks()] == ["1e-4", "1e-3", "1e-2", "1e-1", "1e0"]
    assert axis.place(np.array([1e-2])) == pytest.approx(0.5)
    assert around(np.array([0.0]), log=True).low > 0


def test_a_constant_or_empty_series_still_has_an_axis():
    for values in (np.array([]), np.array([3.0]), np.zeros(4), np.array([np.nan])):
        axis = around(values)
        assert axis.high > axis.low


def test_a_line_passes_through_its_points():
    line = Line("a", np.array([[0.0, 0.0], [10.0, 1.0]]), "train")
    frame_width = 520 - LEFT - RIGHT
    html = str(panel_chart(Panel("loss", (line,)), 10, (), LABEL))
    data = re.search(r'class="line"[^>]* d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', html)
    x0, y0, x1, y1 = map(float, data.groups())
    assert (x0, x1) == (LEFT, LEFT + frame_width)
    assert y0 > y1 > TOP - 1
    assert 'style="stroke:var(--train)"' in html


def test_gaps_and_long_series_are_drawn_within_the_limit():
    x = np.arange(5000.0)
    y = np.where(x == 7, np.nan, x)
    drawn = path(x, y)
    assert drawn.count("L") == MOST_POINTS - 1
    assert "nan" not in drawn
    assert path(np.array([1.0]), np.array([2.0])) == "M1.0 2.0h0"
    assert path(np.array([np.nan]), np.array([1.0])) == ""


def test_flags_are_drawn_once_per_step_and_graver_ones_win():
    flags = (Flag(5, say("a"), False), Flag(5, say("b"), True), Flag(7, say("c"), False))
    html = str(panel_chart(Panel("loss", (Line("a", np.array([[0, 1.0]])),)), 10, flags, LABEL))
    assert html.count('class="flag grave"') == 1
    assert html.count('class="flag"') == 1


def test_attributes_and_texts_are_escaped():
    assert str(element("text", "<b>", class_='"x')) == '<text class="&#34;x">&lt;b&gt;</text>'


def test_the_gap_of_a_bin_reaches_from_accuracy_to_confidence():
    bins = np.array([[0.25, 0.75, 4.0], [0.0, 0.0, 0.0]])
    html = str(reliability_chart(bins, LABEL))
    gap = re.search(r'<rect class="gap" x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', html)
    frame = Frame(300, 280, Axis(0, 1), Axis(0, 1))
    top, height = map(float, gap.groups())
    assert top == pytest.approx(float(frame.down(np.array(0.75))), abs=0.1)
    assert top + height == pytest.approx(float(frame.down(np.array(0.25))), abs=0.2)
    assert html.count("<rect") == 3  # an empty bin draws nothing


def test_small_charts():
    assert 'class="chance"' in str(unit_chart([(np.array([[0, 0], [1, 1]]), "red")], LABEL, True))
    assert 'class="chance"' not in str(unit_chart([(np.array([[0, 0], [1, 1]]), "red")], LABEL, False))
    assert "nan" not in str(sparkline(np.array([np.nan, 1.0, 2.0]), 2.0))
    assert "<path" in str(charts.plain_chart(np.array([[1, 0.2], [2, 0.1]]), LABEL, share=True))


def test_every_point_is_drawn_once_with_its_class():
    points = np.random.default_rng(0).random((30, 2))
    labels = np.arange(30) % 3
    html = str(scatter(points, labels, (0, 2), labels != 1, LABEL))
    drawn = [data.count("M") for data in re.findall(r'class="mark \w+" d="([^"]*)"', html)]
    assert drawn == [10, 10, 10]
    assert html.count("a4.5 4.5") == 20  # ten rings of two arcs
    assert "stroke" in str(swatch(9))


def test_a_sprite_holds_every_step_below_the_other():
    values = np.random.default_rng(0).normal(size=(3, 2, 5, 4, 4)).astype(np.float32)
    layer = FilmLayer("a", "Conv2d", (5, 4, 4), values, np.arange(5), 5, 1, -1.0, 1.0)
    drawn = film_sprite(layer, 1)
    assert (drawn.width, drawn.height) == (5 * 5 - 1, 4)
    flat = FilmLayer(
        "b", "Linear", (70,), values[:, :, 0, :, 0].repeat(20, axis=2)[..., :70], np.arange(70), 70, 1, 0.0, 1.0
    )
    drawn = film_sprite(flat, 0)
    assert (drawn.width, drawn.height) == (64, 2)


def test_filters_are_signed_maps_or_colours():
    weights = np.random.default_rng(0).normal(size=(20, 3, 5, 5))
    for kind, width in (("maps", 3 * 6 - 1), ("colour", 16 * 6 - 1)):
        bank = FilterBank("c", kind, weights, weights, 2.0, (20, 3))
        assert filter_sheet(weights, bank).width == width
    points = np.ones((4, 7, 1, 1))
    assert filter_sheet(points, FilterBank("p", "maps", points, points, 1.0, (4, 7))).width == 7
    assert share_map(np.eye(30)).zoom == zoom(30)
    assert zoom(10_000) == 1
