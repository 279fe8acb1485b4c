"""Copies across splits: planted ones are found, and real images that are merely alike are left alone."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opsin.data import duplicates
from opsin.data.decode import from_array
from opsin.data.duplicates import CROWD, EDGE, LIKE, OUTSTANDING, SAME, find_duplicates, thumbnail, thumbnails

RANDOM = np.random.default_rng(5)


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def resized(picture: np.ndarray, scale: float) -> np.ndarray:
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg 75": lambda picture: jpeg(picture, 75),
    "jpeg 50": lambda picture: jpeg(picture, 50),
    "twice as large": lambda picture: resized(picture, 2),
    "1.4 times as large": lambda picture: resized(picture, 1.4),
    "brighter": lambda picture: np.clip(picture.astype(int) + 30, 0, 255).astype(np.uint8),
    "darker": lambda picture: np.clip(picture.astype(int) - 30, 0, 255).astype(np.uint8),
    "less contrast": lambda picture: (picture * 0.7).astype(np.uint8),
}


def hashes(count: int) -> list[str]:
    return [f"{at:032x}" for at in range(count)]


def found(splits: np.ndarray, small: np.ndarray, keys: list[str] | None = None) -> dict[tuple[str, str], str]:
    names = [str(at) for at in range(len(splits))]
    pairs = find_duplicates(keys or hashes(len(splits)), names, splits, small)
    return {(pair.first, pair.second): pair.kind for pair in pairs}


# --- thumbnails -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 4), st.sampled_from([np.uint8, np.uint16]))
def test_many_thumbnails_are_pillow_s_one_by_one(height, width, channels, kind):
    shape = (3, height, width, channels)[: 4 if channels else 3]
    pictures = np.random.default_rng(height * width).integers(0, np.iinfo(kind).max, shape).astype(kind)
    expected = np.stack([thumbnail(from_array(picture, "L").picture) for picture in pictures])
    small = thumbnails(pictures)
    assert small.dtype == np.uint8
    assert small.shape == (3, EDGE, EDGE)
    # Pillow rounds between its two passes, and once more where it makes grey of colour
    assert np.abs(small.astype(int) - expected.astype(int)).max() <= 2


def test_thumbnails_are_made_in_chunks(monkeypatch):
    pictures = RANDOM.integers(0, 256, (23, 9, 11), dtype=np.uint8)
    whole = thumbnails(pictures)
    monkeypatch.setattr(duplicates, "_CHUNK", 4 * 9 * 11 * 5)
    assert np.array_equal(thumbnails(pictures), whole)
    assert thumbnails(pictures[:0]).shape == (0, EDGE, EDGE)


# --- near copies ------------------------------------------------------------------------------------------------------


def test_different_real_digits_are_no_copies(digits):
    """Also two handwritten ones, which are nearer to each other than many copies are to their originals."""
    assert digits.duplicates == []


@pytest.mark.parametrize("kind", COPIES)
def test_planted_copies_of_real_digits_are_found_and_nothing_else(digits, kind):
    small = thumbnails(digits.pictures)
    originals = np.flatnonzero(digits.splits == "train")[::35]
    copies = np.concatenate([thumbnails(COPIES[kind](digits.pictures[at])[None]) for at in originals])
    splits = np.concatenate([digits.splits, np.tile(["test", "validation"], len(originals))[: len(originals)]])
    pairs = found(splits, np.concatenate([small, copies]))
    planted = {(str(at), str(len(small) + i)) for i, at in enumerate(originals)}
    assert len(planted - set(pairs)) <= 0.01 * len(planted)
    assert set(pairs) <= planted
    assert set(pairs.values()) == {"near"}


def test_the_closest_comes_first_and_says_where_it_is(digits):
    small = thumbnails(digits.pictures[:60])
    splits = np.array(["train"] * 60 + ["test", "validation"])
    copies = [thumbnails(COPIES[kind](digits.pictures[at])[None]) for kind, at in (("jpeg 50", 7), ("jpeg 75", 50))]
    names = [f"image {at}" for at in range(62)]
    pairs = find_duplicates(hashes(62), names, splits, np.concatenate([small, *copies]))
    assert [(pair.first, pair.second, pair.first_split, pair.second_split) for pair in pairs] == [
        ("image 50", "image 61", "train", "validation"),
        ("image 7", "image 60", "train", "test"),
    ]
    assert 0 < pairs[0].distance < pairs[1].distance < LIKE
    assert vars(pairs[0]) == {
        "kind": "near", "first": "image 50", "second": "image 61", "first_split": "train",
        "second_split": "validation", "distance": pairs[0].distance,
    }  # fmt: skip


def test_many_frames_of_one_film_are_copies_although_they_are_a_crowd():
    scene = skimage.data.camera()[::8, ::8].astype(float)
    frames = np.clip(scene + RANDOM.normal(0, 6, (60, *scene.shape)), 0, 255).astype(np.uint8)
    splits = np.array(["train"] * 40 + ["validation"] * 10 + ["test"] * 10)
    pairs = found(splits, thumbnails(frames))
    assert {second for _, second in pairs} == {str(at) for at in range(40, 60)}


def test_copies_in_one_split_do_no_harm(digits):
    twice = np.concatenate([thumbnails(digits.pictures[:50])] * 2)
    assert found(np.array(["train"] * 100), twice, hashes(50) * 2) == {}


def test_pictures_that_show_nothing_are_no_copies():
    flat = np.full((40, 8, 8), 128, np.uint8)
    flat[::2, 3, 3] = 129
    assert found(np.array(["train", "test"] * 20), thumbnails(flat)) == {}


@pytest.mark.parametrize("splits", [["train"], ["test"], ["train", "test"], ["validation", "test"], []])
def test_very_few_images(digits, splits):
    small = thumbnails(digits.pictures[:1])
    pairs = found(np.array(splits, "U10"), np.repeat(small, len(splits), axis=0))
    assert len(pairs) == (len(splits) == 2)


def slow(splits: np.ndarray, small: np.ndarray) -> set[tuple[int, int]]:
    """The definition, all pairs."""
    values = small.reshape(len(small), -1).astype(float)
    values -= values.mean(axis=1, keepdims=True)
    units = values / np.linalg.norm(values, axis=1, keepdims=True)
    pairs = set()
    for at, split in enumerate(splits):
        earlier = {"train": [], "validation": ["train"], "test": ["train", "validation"]}[str(split)]
        others = np.flatnonzero(np.isin(splits, earlier))
        if not len(others):
            continue
        distances = np.linalg.norm(units[others] - units[at], axis=1)
        ranked = np.sort(distances)
        crowd = ranked[CROWD] if len(ranked) > CROWD else np.inf
        if ranked[0] <= SAME or (ranked[0] <= LIKE and ranked[0] <= OUTSTANDING * crowd):
            pairs.add((int(others[distances.argmin()]), at))
    return pairs


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_fast_search_misses_nothing(digits, monkeypatch, factor):
    """With looser limits real digits give many pairs, and each has to be the one that the definition gives."""
    for name, value in (("SAME", SAME * factor), ("LIKE", LIKE * factor), ("OUTSTANDING", 0.3 + 0.2 * factor)):
        monkeypatch.setattr(duplicates, name, value)
        monkeypatch.setitem(globals(), name, value)
    small = thumbnails(digits.pictures[::4])
    small = np.concatenate([small, thumbnails(np.stack([jpeg(picture, 40) for picture in digits.pictures[:200:4]]))])
    splits = np.array(["train", "train", "validation", "test"])[RANDOM.integers(0, 4, len(small))]
    expected = slow(splits, small)
    assert len(expected) > 10 * factor
    assert {(int(a), int(b)) for a, b in found(splits, small)} == expected


# --- exact copies -----------------------------------------------------------------------------------------------------


def test_exact_copies_are_listed_once_per_image():
    small = RANDOM.integers(0, 256, (7, EDGE, EDGE)).astype(np.uint8)
    keys = ["a", "b", "a", "a", "b", "c", "a"]
    splits = np.array(["test", "test", "train", "validation", "test", "train", "train"])
    assert found(splits, small, keys) == {("2", "3"): "exact", ("2", "0"): "exact"}


def test_an_exact_copy_is_not_listed_as_a_near_one_too(digits):
    small = np.repeat(thumbnails(digits.pictures[:1]), 3, axis=0)
    pairs = find_duplicates(["a", "a", "b"], ["x", "y", "z"], np.array(["train", "test", "test"]), small)
    assert [(pair.kind, pair.second, pair.distance) for pair in pairs] == [("exact", "y", 0.0), ("near", "z", 0.0)]
