from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.data.sources.arrays import find
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(5)


def images(count: int, *shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, *(shape or (4, 5))), dtype=np.uint8).astype(dtype)


def save(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "set.npz", **arrays)
    return folder / "set.npz"


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_and_labels(tmp_path: Path, shape: tuple[int, ...], dtype: Any):
    pictures = images(3, *shape, dtype=dtype)
    found = find(save(tmp_path, images=pictures, labels=[2, 10, 2]))
    assert np.array_equal(found.pictures, pictures)
    assert np.asarray(found.pictures).dtype == dtype
    assert (found.name, found.labels) == ("set", ["2", "10", "2"])
    assert found.names == ["images/0", "images/1", "images/2"]
    assert (found.splits, found.classes, found.notes) == (None, None, ())


@pytest.mark.parametrize("names", ["x_{0},y_{0}", "{0}_images,{0}_labels"])
@pytest.mark.parametrize("parts", [("train", "val", "test"), ("train", "test"), ("train", "val"), ("test",)])
def test_splits(tmp_path: Path, names: str, parts: tuple[str, ...]):
    arrays = {}
    for number, part in enumerate(parts, 2):
        x, y = names.format(part).split(",")
        arrays |= {x: images(number), y: np.arange(number)[:, None]}  # MedMNIST has labels (n, 1)
    found = find(save(tmp_path, **arrays))
    order = [part for part in ("train", "val", "test") if part in parts]
    assert np.array_equal(found.pictures, np.concatenate([arrays[names.format(part).split(",")[0]] for part in order]))
    words = {"train": "train", "val": "validation", "test": "test"}
    assert found.splits == [words[part] for number, part in enumerate(order, 2) for _ in range(number)]
    assert found.labels == [str(label) for number in range(2, 2 + len(order)) for label in range(number)]
    assert found.names[:2] == [f"{words[order[0]]}/0", f"{words[order[0]]}/1"]


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        (np.array([1.0, 0.0]), ["1", "0"]),
        (np.array([True, False]), ["True", "False"]),
        (np.array(["cat ", "dog"]), ["cat", "dog"]),
        (np.array([b"cat", b"dog"]), ["cat", "dog"]),
    ],
)
def test_labels_of_any_type(tmp_path: Path, labels: np.ndarray, texts: list[str]):
    assert find(save(tmp_path, images=images(2), labels=labels)).labels == texts


@pytest.mark.parametrize("labels", [[2, 0], ["fox", "cat"], [2.0, 0.0]])
def test_a_list_of_classes_gives_names_and_order(tmp_path: Path, labels: list[Any]):
    found = find(save(tmp_path, images=images(2), labels=labels, classes=["cat", "dog", "fox"]))
    assert found.labels == ["fox", "cat"]
    assert found.classes == ("cat", "dog", "fox")


def test_true_is_white(tmp_path: Path):
    found = find(save(tmp_path, images=np.eye(4, dtype=bool)[None].repeat(2, 0), labels=[0, 1]))
    assert np.array_equal(found.pictures, np.eye(4, dtype=np.uint8)[None].repeat(2, 0) * 255)


def test_other_arrays_are_said(tmp_path: Path):
    found = find(save(tmp_path, images=images(2), labels=[0, 1], masks=images(2)))
    assert found.notes == ("arrays that are not used: masks",)


IMAGES, LABELS = images(2), [0, 1]
BAD = {
    "names": ({"data": IMAGES, "target": LABELS}, "holds the arrays data, target; expected the arrays images"),
    "none": ({}, "holds the arrays none; expected"),
    "no labels": ({"images": IMAGES}, "has no array labels but its partner; expected images, labels"),
    "no test labels": ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, "has no array y_test"),
    "float": ({"images": IMAGES / 255, "labels": LABELS}, r"are float64; .*save round\(255 \* x\) if they"),
    "int64": ({"images": IMAGES.astype(int), "labels": LABELS}, r"are int64; expected uint8.*: save x\.astype"),
    "channels first": ({"images": images(2, 3, 8, 9), "labels": LABELS}, r"come first, save x\.transpose\(0, 2"),
    "flat": ({"images": images(2, 784), "labels": LABELS}, r"\(2, 784\).*: save x\.reshape\(-1, 28, 28\)"),
    "flat, no square": ({"images": images(2, 783), "labels": LABELS}, ": reshape the rows"),
    "many channels": ({"images": images(2, 8, 9, 5), "labels": LABELS}, r"shape \(2, 8, 9, 5\); expected \(n, h"),
    "empty": ({"images": images(0), "labels": []}, r"shape \(0, 4, 5\); expected"),
    "numbers differ": ({"images": IMAGES, "labels": [0, 1, 1]}, "labels of .* are 3 for 2 images; expected one per"),
    "one-hot": ({"images": IMAGES, "labels": np.eye(2)}, r"labels of .* shape \(2, 2\); expected one label per image"),
    "fractions": ({"images": IMAGES, "labels": [0.5, 1]}, "float64 with fractions; expected text or whole numbers"),
    "pickle": ({"images": IMAGES, "labels": np.array(["a", 1], object)}, r"labels of .* pickled objects, which"),
    "empty label": ({"images": IMAGES, "labels": ["", "a"]}, "has a class without a name"),
    "looks equal": ({"images": IMAGES, "labels": ["Cat", "cat"]}, "'Cat' and 'cat', which are equal but for"),
    "shapes": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": images(2, 6, 6), "y_test": LABELS},
        r"images of \(4, 5\) uint8, \(6, 6\) uint8; expected one shape",
    ),
    "beyond classes": ({"images": IMAGES, "labels": [0, 2], "classes": ["a", "b"]}, "hold 2; expected 0 to 1"),
    "not in classes": ({"images": IMAGES, "labels": ["a", "c"], "classes": ["a", "b"]}, "hold c; expected the names"),
    "classes": ({"images": IMAGES, "labels": LABELS, "classes": [1, 2]}, "classes of .* is int64"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str):
    arrays, says = BAD[name]
    with pytest.raises(OpsinError, match=says) as caught:
        find(save(tmp_path, **arrays))
    assert "\n" not in str(caught.value)
    assert "set.npz" in str(caught.value)


def test_damaged_files(tmp_path: Path):
    good = save(tmp_path, images=images(200, 20, 20), labels=np.arange(200))
    data = bytearray(good.read_bytes())
    for name, content in (
        ("cut", bytes(data[:3000])),
        ("empty", b""),
        ("text", b"hello"),
        ("turned", bytes(data[:2000]) + bytes(reversed(data[2000:2100])) + bytes(data[2100:])),
    ):
        file = tmp_path / f"{name}.npz"
        file.write_bytes(content)
        with pytest.raises(OpsinError, match=rf"{name}\.npz cannot be read: "):
            find(file)
    np.save(tmp_path / "one.npy", images(2))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(OpsinError, match=r"one\.npz is one array; expected \.npz with"):
        find(tmp_path / "one.npz")


def test_a_header_that_promises_more_than_memory_holds(tmp_path: Path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4000000000000000, 28, 28), }"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as file:
        file.writestr("images.npy", start + bytes(100))
        file.writestr("labels.npy", start + bytes(100))
    with pytest.raises(OpsinError, match=r"images of .*bomb\.npz cannot be read"):
        find(tmp_path / "bomb.npz")


@given(st.binary(max_size=80))
def test_no_bytes_whatever_end_in_a_traceback(tmp_path_factory, data: bytes):
    file = tmp_path_factory.getbasetemp() / "any.npz"
    file.write_bytes(data)
    with pytest.raises(OpsinError):
        find(file)
