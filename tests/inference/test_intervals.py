"""Intervals cover what they claim to cover, and behave at the ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from opsin.errors import OpsinError
from opsin.inference.intervals import bootstrap_mean, share_interval, wilson


def slow_bootstrap(values, groups, seed, resamples=4000):
    """Efron 1979, as it is told: draw n of the n units with replacement, take the mean, again and again."""
    rng = np.random.default_rng(seed)
    units = [np.flatnonzero(np.asarray(groups) == name) for name in dict.fromkeys(groups)]
    means = []
    for _ in range(resamples):
        rows = np.concatenate([units[i] for i in rng.integers(0, len(units), len(units))])
        means.append(values[rows].mean())
    return np.quantile(means, [0.025, 0.975])


@pytest.mark.parametrize("grouped", [False, True])
def test_the_quick_bootstrap_is_the_slow_one(grouped):
    rng = np.random.default_rng(1)
    values = (rng.random(150) < 0.8).astype(float)
    groups = [f"patient {i // 4}" for i in range(150)] if grouped else list(range(150))
    quick = bootstrap_mean(values, groups=groups if grouped else None, seed=3, resamples=4000)
    np.testing.assert_allclose(quick, slow_bootstrap(values, groups, seed=4), atol=0.01)


def test_a_group_for_each_image_is_no_group():
    values = np.random.default_rng(0).normal(size=80)
    grouped = bootstrap_mean(values, groups=[f"{i:03d}" for i in np.argsort(np.argsort(values))], seed=1)
    assert grouped == pytest.approx(bootstrap_mean(values, seed=1))


@pytest.mark.parametrize(("share", "images"), [(0.6, 200), (0.9, 300), (0.97, 1000)])
def test_95_of_100_intervals_hold_the_truth(share, images):
    drawn = np.random.default_rng(5).binomial(images, share, 4000)
    found, times = np.unique(drawn, return_counts=True)
    for interval_of in (
        lambda hits: share_interval(np.arange(images) < hits, seed=1),
        lambda hits: wilson(hits, images),
    ):
        held = [low <= share <= high for low, high in map(interval_of, found.tolist())]
        # the percentile bootstrap is known to be slightly narrow near 0 and 1
        assert 0.92 <= np.average(held, weights=times) <= 0.97


def test_groups_widen_an_interval_that_images_would_make_too_narrow():
    """Twenty patients with fifty images each, answered alike: only drawing patients covers the truth."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 50)
    held = {True: 0, False: 0}
    for round_ in range(200):
        right = np.repeat(rng.random(20) < 0.7, 50)
        for grouped in held:
            interval = share_interval(right, groups=groups if grouped else None, seed=round_)
            held[grouped] += interval.low <= 0.7 <= interval.high
    assert held[True] / 200 > 0.85
    assert held[False] / 200 < 0.4


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_is_scipys(hits, more):
    total = hits + more
    interval = wilson(hits, total)
    assert 0 <= interval.low <= interval.high <= 1
    if total:
        reference = binomtest(hits, total).proportion_ci(method="wilson")
        assert interval == pytest.approx((reference.low, reference.high), abs=1e-12)
        assert interval.low <= hits / total <= interval.high


def test_all_right_is_not_certain():
    for groups, independent in ((None, 50), (["a", "b"] * 25, 2)):
        interval = share_interval(np.ones(50, bool), groups=groups)
        assert interval == wilson(independent, independent)
        assert interval.low < 1
    assert share_interval(np.zeros(50, bool)) == wilson(0, 50)
    assert wilson(0, 0) == (0, 1)


def test_a_seed_gives_the_same_interval_again():
    values = np.random.default_rng(0).normal(size=40)
    assert bootstrap_mean(values, seed=7) == bootstrap_mean(values, seed=7)
    assert bootstrap_mean(values, seed=7) != bootstrap_mean(values, seed=8)


def test_no_values_are_refused():
    with pytest.raises(OpsinError, match="expected at least one image"):
        bootstrap_mean(np.zeros(0))
