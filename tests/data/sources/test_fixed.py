from __future__ import annotations

import hashlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from opsin.data.sources.fixed import fixed_splits

KEYS = st.lists(st.binary(min_size=1, max_size=2), min_size=1, max_size=40, unique=True)


def slow(keys: list[bytes], labels: list[str], validation: int, test: int) -> list[str]:
    """From the docstring, for keys that differ."""
    splits = {}
    for label in set(labels):
        mine = [key for key, its in zip(keys, labels, strict=True) if its == label]
        mine.sort(key=lambda key: hashlib.blake2b(key, digest_size=16).digest())
        for rank, key in enumerate(mine):
            splits[key] = "test" if rank < test else "validation" if rank < test + validation else "train"
    return [splits[key] for key in keys]


@given(KEYS, st.integers(0, 4), st.integers(0, 4), st.data())
def test_against_the_slow_twin(keys: list[bytes], validation: int, test: int, data: st.DataObject):
    labels = [data.draw(st.sampled_from("ab")) for _ in keys]
    splits = fixed_splits(keys, labels, validation=validation, test=test)
    assert splits == slow(keys, labels, validation, test)


@given(KEYS, st.data())
def test_the_order_in_the_source_plays_no_part(keys: list[bytes], data: st.DataObject):
    labels = {key: str(key[0] % 3) for key in keys}
    splits = dict(zip(keys, fixed_splits(keys, [labels[key] for key in keys], validation=2, test=3), strict=True))
    other = data.draw(st.permutations(keys))
    assert fixed_splits(other, [labels[key] for key in other], validation=2, test=3) == [splits[key] for key in other]


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=20))
def test_equal_keys_stay_together_and_no_share_is_exceeded(keys: list[bytes]):
    splits = fixed_splits(keys, ["x"] * len(keys), validation=3, test=4)
    places = {key: {split for k, split in zip(keys, splits, strict=True) if k == key} for key in keys}
    assert all(len(place) == 1 for place in places.values())
    counts = Counter(splits)
    assert counts["validation"] <= 3
    assert counts["test"] <= 4
