"""The film: budgets, order and colour scales."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opsin
from opsin.reporting.parts import film as module
from opsin.reporting.parts.film import averaged, colour_range, film, in_order
from opsin.reporting.parts.material import Material, Missing, spread


def test_it_holds_what_the_snapshots_hold(make_run):
    run = make_run()
    part = film(Material(run))
    assert part.steps == (0, 6)
    assert [layer.name for layer in part.layers] == ["0", "1", "3"]
    last = run.snapshot(6)
    np.testing.assert_array_equal(part.layers[0].values[-1], last.activations["0"])
    np.testing.assert_array_equal(part.images, run.probe.images)
    np.testing.assert_array_equal(part.answers[-1, :, 0], last.probabilities.argmax(axis=1))
    np.testing.assert_allclose(part.shares[-1, :, 0], last.probabilities.max(axis=1))
    assert part.layers[0].signed
    assert not part.layers[1].signed  # behind a ReLU
    assert [text.key for text in part.left_out] == ["film.left_steps"]


def test_images_that_do_not_fit_are_counted(make_run, monkeypatch):
    monkeypatch.setattr(module, "PIXELS", 3 * 2 * (4 * 36 * 2 + 3))
    part = film(Material(make_run()))
    assert len(part.images) == 3
    assert [(text.key, text.values["kept"], text.values["count"]) for text in part.left_out[1:]] == [
        ("film.left_images", 3, 6)
    ]
    assert all(layer.values.shape[1] == 3 for layer in part.layers)


def test_steps_that_do_not_fit_keep_the_first_and_the_last(make_run, monkeypatch):
    monkeypatch.setattr(module, "MOST_STEPS", 3)
    part = film(Material(make_run()))
    assert part.steps in ((0, 2, 6), (0, 4, 6))
    assert part.left_out[0].key == "film.left_steps"


def test_without_snapshots_it_says_what_to_do(make_run):
    run = make_run()
    for path in (run.path / "snapshots").iterdir():
        path.unlink()
    part = film(Material(opsin.Run(run.path)))
    assert isinstance(part, Missing)
    assert part.remedy is not None


def test_layers_come_in_the_order_of_computation():
    layers = [{"name": "conv2"}, {"name": "conv10"}, {"name": "fc"}]
    assert in_order(["fc", "conv10", "conv2"], layers) == ["conv2", "conv10", "fc"]
    assert in_order(["b.10", "b.9", "fc"], layers) == ["fc", "b.9", "b.10"]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_averaging_is_the_mean_of_each_block(height, width, factor):
    maps = np.random.default_rng(height * width).normal(size=(2, 1, height, width))
    found = averaged(maps, factor)
    for row in range(-(-height // factor)):
        for column in range(-(-width // factor)):
            block = maps[:, :, row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            np.testing.assert_allclose(found[:, :, row, column], block.mean(axis=(2, 3)))


def test_a_colour_range_covers_all_but_a_few_values():
    values = np.concatenate([np.linspace(0, 1, 10_000), [50.0]])
    low, high = colour_range(values)
    assert low == 0
    assert 0.99 < high <= 1
    assert colour_range(-values) == (-high, high)
    assert colour_range(np.zeros(5)) == (0.0, 1.0)
    assert colour_range(np.array([0.0] * 9999 + [2.0])) == (0.0, 2.0)


@given(st.integers(1, 500), st.integers(2, 50))
def test_spread_keeps_the_ends_and_the_limit(count, most):
    found = spread(count, most)
    assert len(found) == min(count, most)
    assert found == sorted(set(found))
    assert found[0] == 0
    assert found[-1] == count - 1


def test_spread_of_one():
    assert spread(5, 1) == [0]
    assert spread(0, 3) == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_snapshot_is_a_film_too(make_run, count):
    run = make_run()
    for path in sorted((run.path / "snapshots").glob("*"))[2 * count :]:
        path.unlink()
    assert len(film(Material(opsin.Run(run.path))).steps) == count
