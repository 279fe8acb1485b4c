"""The order of an epoch: every image once, or every class equally often, as a function of (seed, epoch) alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.data.sampling import Sampler
from opsin.errors import OpsinError

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(np.array)
SEEDS = st.integers(0, 2**32 - 1)


def sampler(labels: np.ndarray, batch_size: int = 7, seed: int = 0, balanced: bool = False) -> Sampler:
    return Sampler(labels, batch_size=batch_size, seed=seed, balanced=balanced)


@given(LABELS, st.integers(1, 100), SEEDS, st.integers(0, 1000))
def test_every_image_comes_once(labels: np.ndarray, batch_size: int, seed: int, epoch: int) -> None:
    batches = list(sampler(labels, batch_size, seed).batches(epoch))
    assert sorted(np.concatenate(batches)) == list(range(len(labels)))
    assert len(batches) == sampler(labels, batch_size, seed).steps_per_epoch
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert 1 <= len(batches[-1]) <= batch_size
    assert all(batch.dtype == np.int64 for batch in batches)


@given(LABELS, st.integers(1, 100), SEEDS, st.integers(0, 1000))
def test_balanced_draws_every_class_equally_often(labels: np.ndarray, batch_size: int, seed: int, epoch: int) -> None:
    batches = list(sampler(labels, batch_size, seed, balanced=True).batches(epoch))
    drawn = np.concatenate(batches)
    assert [len(batch) for batch in batches] == [len(batch) for batch in sampler(labels, batch_size).batches(0)]
    present, times = np.unique(labels[drawn], return_counts=True)
    assert times.max() - times.min() <= 1
    if len(labels) >= len(np.unique(labels)):
        assert set(present) == set(labels)
    for label in present:
        repeated = np.bincount(drawn, minlength=len(labels))[labels == label]
        assert repeated.max() - repeated.min() <= 1


@given(LABELS, st.integers(1, 20), SEEDS, st.integers(0, 50), st.booleans(), st.data())
def test_a_resumed_epoch_goes_on_where_it_stopped(
    labels: np.ndarray, batch_size: int, seed: int, epoch: int, balanced: bool, data: st.DataObject
) -> None:
    whole = list(sampler(labels, batch_size, seed, balanced).batches(epoch))
    start = data.draw(st.integers(0, len(whole)))
    other = sampler(labels, batch_size, seed, balanced)
    list(other.batches(epoch + 1))  # what was drawn before does not matter
    rest = list(other.batches(epoch, start_step=start))
    assert len(rest) == len(whole) - start
    assert all(np.array_equal(a, b) for a, b in zip(rest, whole[start:], strict=True))


@pytest.mark.parametrize("balanced", [False, True])
def test_epochs_and_seeds_differ(balanced: bool) -> None:
    labels = np.arange(60) % 3
    orders = [tuple(sampler(labels, seed=seed, balanced=balanced).order(epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_the_rare_class_fills_its_share_of_every_part_of_an_epoch() -> None:
    labels = np.repeat([0, 1], [990, 10])
    shares = [labels[batch].mean() for batch in sampler(labels, 100, balanced=True).batches(0)]
    assert min(shares) > 0.3
    assert max(shares) < 0.7
    plain = [labels[batch].mean() for batch in sampler(labels, 100).batches(0)]  # the check above can fail
    assert max(plain) < 0.3


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(OpsinError, match="0 images"):
        sampler(np.zeros(0, np.int64))
    with pytest.raises(OpsinError, match="batch_size=0"):
        sampler(np.zeros(3, np.int64), batch_size=0)
