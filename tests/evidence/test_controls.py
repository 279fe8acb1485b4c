"""Random maps, edges, and the test against them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from opsin.evidence.controls import (
    LEVEL,
    PERMUTATIONS,
    edges,
    measure,
    permutation_test,
    random_maps,
    random_maps_for,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth(count, seed=0):
    noise = torch.randn(count, 1, 5, 5, generator=generator(seed))
    return torch.nn.functional.interpolate(noise, 24, mode="bicubic")[:, 0]


def roughness(maps):
    return float((maps[..., 1:] - maps[..., :-1]).square().mean() / maps.var(dim=(-2, -1)).mean())


def test_a_random_map_has_the_values_and_the_smoothness_of_the_map():
    maps = smooth(6).relu()
    found = random_maps(maps, 3, generator())
    assert found.shape == (3, 6, 24, 24)
    for drawn in found:
        torch.testing.assert_close(drawn.flatten(1).sort(dim=1).values, maps.flatten(1).sort(dim=1).values)
    noise = torch.randn(6, 24, 24, generator=generator(1))
    assert roughness(found) < roughness(random_maps(noise, 3, generator())) / 4


def test_random_maps_know_nothing_of_the_map():
    maps = smooth(200)
    found = random_maps(maps, 1, generator())[0]
    pairs = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps.numpy(), found.numpy(), strict=True)]
    assert abs(np.mean(pairs)) < 0.1


@pytest.mark.parametrize("maps", [torch.zeros(2, 5, 5), torch.full((2, 5, 5), 3.0)])
def test_a_flat_map_gives_flat_ones(maps):
    torch.testing.assert_close(random_maps(maps, 2, generator()), maps.expand(2, -1, -1, -1))


def test_edges_are_sobels():
    picture = np.random.default_rng(0).normal(size=(2, 3, 9, 11)).astype(np.float32)
    grey = picture.mean(axis=1).astype(np.float64)
    expected = np.stack(
        [np.hypot(ndimage.sobel(one, 0, mode="nearest"), ndimage.sobel(one, 1, mode="nearest")) for one in grey]
    )
    np.testing.assert_allclose(edges(torch.from_numpy(picture)), expected / 4, atol=1e-5)


@pytest.mark.parametrize("images", [1, 2, 3, 4, 10])
def test_the_test_can_reach_its_level_for_any_number_of_images(images):
    randoms = random_maps_for(images)
    best = np.concatenate([np.ones((1, images)), np.zeros((randoms, images))])
    assert permutation_test(best, 0) <= LEVEL
    assert permutation_test(-best, 0) == 1


def test_the_exact_test_counts_all_choices():
    values = np.array([[3.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    # sums: 5 5 4 is 4 or more for (3,1) (3,2) (2,2); of 9
    assert permutation_test(values, 0) == pytest.approx(3 / 9)


def test_drawn_choices_agree_with_all_of_them():
    values = np.random.default_rng(1).normal(size=(4, 6))
    exact = permutation_test(values, 0)
    doubled = np.concatenate([values, np.zeros((4, 2))], axis=1)  # two images without information: beyond the limit
    assert PERMUTATIONS < 4**8
    assert permutation_test(doubled, 0) == pytest.approx(exact, abs=0.02)


def test_random_maps_are_called_better_only_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    found = [permutation_test(rng.normal(size=(4, 5)), 0) <= LEVEL for _ in range(600)]
    assert np.mean(found) == pytest.approx(LEVEL, abs=0.025)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000), st.sampled_from(["higher", "lower"]))
def test_a_measure_holds_means_intervals_and_paired_advantages(images, seed, better):
    values = np.random.default_rng(seed).normal(size=(5, images))
    found = measure(values, better, {"steps": 3}, seed=2)
    np.testing.assert_array_equal(found.values, values[0])
    assert found.mean == pytest.approx(values[0].mean())
    assert found.interval.low <= found.mean + 1e-9
    assert found.mean <= found.interval.high + 1e-9
    assert found.protocol == {"steps": 3, "seed": 2}
    sign = 1 if better == "higher" else -1
    for name, control in (("random", values[1:4].mean(axis=0)), ("edge", values[4])):
        np.testing.assert_allclose(found.controls[name].values, control)
        assert found.controls[name].advantage == pytest.approx(sign * (values[0] - control).mean())
    assert found.controls["edge"].p_value is None
    assert measure(values[0], better, {}, seed=0).controls == {}
