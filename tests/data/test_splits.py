"""Membership in a split is a function of the image and the seed, and of nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.data.splits import class_notes, decide_splits, share_of
from opsin.errors import OpsinError

HASHES = [hashlib.blake2b(str(i).encode(), digest_size=16).hexdigest() for i in range(20_000)]
SPLITS = ("train", "validation", "test")
hashes = st.lists(st.sampled_from(HASHES), min_size=1, max_size=60)
seeds = st.integers(0, 2**32)


def test_membership_never_changes_between_versions():
    """Golden: a change here moves images of every run that was ever trained from training to test."""
    assert [share_of(key, seed) for key, seed in (("a", 0), ("a", 1), ("b", 0), ("0" * 32, 7))] == [
        0.7417194198289921, 0.5825904866870052, 0.38296226762766417, 0.5166928042440708,
    ]  # fmt: skip
    splits, _ = decide_splits(HASHES[:2000], [f"g{i % 300}" for i in range(2000)], None, 3)
    assert hashlib.blake2b(" ".join(splits).encode(), digest_size=8).hexdigest() == GOLDEN_GROUPS
    splits, _ = decide_splits(HASHES[:2000], None, None, 3)
    assert hashlib.blake2b(" ".join(splits).encode(), digest_size=8).hexdigest() == GOLDEN


GOLDEN = "b1220195a5daffa0"
GOLDEN_GROUPS = "00240c86884d1e26"


@given(hashes, seeds, st.randoms(use_true_random=False))
def test_adding_removing_and_reordering_moves_nothing(chosen, seed, random):
    splits, notes = decide_splits(chosen, None, None, seed)
    alone = {key: str(decide_splits([key], None, None, seed)[0][0]) for key in chosen}
    assert splits.tolist() == [alone[key] for key in chosen]
    assert notes == ()
    mixed = random.sample(HASHES, 30) + chosen
    random.shuffle(mixed)
    found, _ = decide_splits(mixed, None, None, seed)
    assert {key: name for key, name in zip(mixed, found.tolist(), strict=True) if key in alone} == alone


@given(st.lists(st.tuples(st.sampled_from(HASHES), st.sampled_from("abcde")), min_size=1, max_size=60), seeds)
def test_groups_are_undivided_and_stable(images, seed):
    keys, groups = zip(*images, strict=True)
    splits, _ = decide_splits(keys, groups, None, seed)
    of_group = {
        group: {str(name) for name, its in zip(splits, groups, strict=True) if its == group} for group in groups
    }
    assert all(len(names) == 1 for names in of_group.values())
    first = decide_splits(HASHES[:1], groups[:1], None, seed)[0][0]
    assert of_group[groups[0]] == {first}


@settings(max_examples=10)
@given(seeds)
def test_shares_are_70_10_20(seed):
    splits, _ = decide_splits(HASHES, None, None, seed)
    for name, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        # five standard deviations of a binomial share of 20,000
        assert abs((splits == name).mean() - share) < 5 * (share * (1 - share) / len(HASHES)) ** 0.5


def test_another_seed_is_another_split():
    a, b = (decide_splits(HASHES, None, None, seed)[0] for seed in (0, 1))
    # by chance, two draws agree in .7^2 + .1^2 + .2^2 of all images
    assert abs((a == b).mean() - 0.54) < 0.02


def test_an_image_without_a_group_goes_by_its_content():
    splits, _ = decide_splits(HASHES[:500], [""] * 500, None, 0)
    assert splits.tolist() == decide_splits(HASHES[:500], None, None, 0)[0].tolist()


def test_a_group_is_not_mistaken_for_content():
    splits, _ = decide_splits(HASHES[500:1000], HASHES[:500], None, 0)
    assert splits.tolist() != decide_splits(HASHES[:500], None, None, 0)[0].tolist()


@given(st.lists(st.sampled_from(SPLITS), min_size=3, max_size=40), seeds)
def test_what_the_source_gives_stands(names, seed):
    names = [*SPLITS, *names]
    splits, notes = decide_splits(HASHES[: len(names)], None, names, seed)
    assert splits.tolist() == names
    assert notes == ()


def test_validation_is_an_eighth_of_training():
    names = ["train"] * 16_000 + ["test"] * 4_000
    splits, notes = decide_splits(HASHES, None, names, 0)
    assert (splits[16_000:] == "test").all()
    assert abs((splits[:16_000] == "validation").mean() - 1 / 8) < 5 * (7 / 64 / 16_000) ** 0.5
    assert "no validation images: an eighth of its training images" in notes[0]
    fewer, _ = decide_splits(HASHES[:9_000], None, names[:9_000], 0)
    assert fewer.tolist() == splits[:9_000].tolist()
    groups = [f"g{i // 10}" for i in range(20_000)]
    by_group, _ = decide_splits(HASHES, groups, names, 0)
    assert all(len(set(by_group[i : i + 10])) == 1 for i in range(0, 20_000, 10))


def test_no_test_images_are_invented():
    splits, notes = decide_splits(HASHES[:100], None, ["train", "validation"] * 50, 0)
    assert set(splits.tolist()) == {"train", "validation"}
    assert notes == ()
    assert class_notes(np.zeros(100, int), ["a"], splits) == ("there are no test images",)


def test_images_that_the_source_leaves_open():
    given_ = ["train"] * 10 + ["test"] * 10 + [None] * 2_000
    groups = ["g"] * 10 + ["h"] * 10 + ["h"] * 50 + [""] * 1_950
    splits, notes = decide_splits(HASHES[:2020], groups, given_, 0)
    assert splits[:20].tolist() == given_[:20]
    assert set(splits[20:70].tolist()) == {"test"}, "a group follows its members"
    assert splits[70:].tolist() == decide_splits(HASHES[70:2020], None, None, 0)[0].tolist()
    assert notes == ("2,000 images have no split in the source: their content or group decides",)


def test_a_group_that_the_source_divides_is_named():
    _, notes = decide_splits(HASHES[:3], ["ann", "ann", "bob"], ["train", "test", "validation"], 0)
    assert len(notes) == 1
    assert "in several splits: ann; scores may be too good" in notes[0]


def test_an_unknown_split():
    with pytest.raises(OpsinError, match="split 'dev' was given; expected one of train, validation, test"):
        decide_splits(HASHES[:2], None, ["train", "dev"], 0)


def test_small_classes_are_named():
    labels = np.array([0, 0, 0, 1, 1, 2, 4, 4])
    splits = np.array(["train", "validation", "test", "train", "test", "train", "validation", "test"])
    assert class_notes(labels, ["a", "b", "c", "d", "e"], splits) == (
        "class d: no image at all: the network cannot learn it",
        "class c: a single image",
        "class e: no training image: the network cannot learn it",
        "classes b, c: no validation image: nothing is known of it while training",
        "class c: no test image: it is not measured",
    )
    many = class_notes(np.arange(30), [str(i) for i in range(30)], np.array(["train"] * 29 + ["test"]))
    assert "classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more: a single image" in many
    assert class_notes(labels[:3], ["a"], splits[:3]) == ()
