from __future__ import annotations

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from opsin.data.sources.idx import find, is_idx, read_idx
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(11)
NAMES = ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")


def encoded(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, prefix: str, pictures: np.ndarray, labels: np.ndarray, *, packed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, (pictures, labels), strict=True):
        data = encoded(np.asarray(array, np.uint8))
        (folder / (name.format(prefix) + (".gz" if packed else ""))).write_bytes(
            gzip.compress(data) if packed else data
        )


def pictures(count: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, 4, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five training images, packed, and three for testing, unpacked."""
    write(tmp_path / "tiny", "train", pictures(5), np.array([3, 0, 3, 1, 1]), packed=True)
    write(tmp_path / "tiny", "t10k", pictures(3), np.array([0, 1, 3]))
    return tmp_path / "tiny"


def refused(place: Path, says: str) -> None:
    with pytest.raises(OpsinError, match=says) as caught:
        find(place)
    assert "\n" not in str(caught.value)


def test_a_folder_and_each_of_its_files_are_the_same_set(folder: Path):
    (folder / "README.md").write_text("hello")
    found = find(folder)
    assert found.name == "tiny"
    assert found.labels == ["0", "1", "3", "3", "0", "3", "1", "1"]
    assert found.splits == ["test"] * 3 + ["train"] * 5
    assert found.names[2:4] == ["test/2", "train/0"]
    train = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    assert np.asarray(found.pictures)[3:].tobytes() == train[16:]
    for file in folder.glob("*ubyte*"):
        again = find(file)
        assert np.array_equal(again.pictures, found.pictures)
        assert (again.labels, again.splits, again.name) == (found.labels, found.splits, found.name)


def test_names_of_classes(folder: Path):
    found = find(folder, name="x", classes=["cat", "dog", "fox", "owl"])
    assert (found.name, found.labels[:3]) == ("x", ["cat", "dog", "owl"])
    assert found.classes == ("cat", "dog", "fox", "owl")
    with pytest.raises(OpsinError, match=r"labels-idx1-ubyte.* holds the label 3; expected 0 to 1"):
        find(folder, classes=["cat", "dog"])


def test_one_split_alone_says_nothing_of_the_others(tmp_path: Path):
    write(tmp_path, "train", pictures(4), np.arange(4))
    assert find(tmp_path).splits is None


def test_an_unpacked_file_counts_before_a_packed_one(folder: Path):
    write(folder, "train", np.zeros((2, 4, 3)), np.array([7, 7]))
    assert find(folder).labels == ["0", "1", "3", "7", "7"]


def test_other_spellings_and_several_sets(tmp_path: Path):
    for name in ("emnist-letters-train", "emnist-letters-test", "emnist-digits-train"):
        write(tmp_path, name, pictures(2), np.array([1, 2]))
    refused(tmp_path, "holds 2 sets of IDX files, emnist-digits-, emnist-letters-; give one of the files instead")
    assert len(find(tmp_path / "emnist-letters-test-labels-idx1-ubyte")) == 4
    assert len(find(tmp_path / "emnist-digits-train-images-idx3-ubyte")) == 2
    assert is_idx(Path("t10k-images.idx3-ubyte"))
    assert not is_idx(Path("t10k-images.png"))


def test_a_set_that_is_not_whole(folder: Path):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    refused(folder, "has no file with the labels for test; expected train-images-idx3-ubyte")
    (folder / "t10k-images-idx3-ubyte").unlink()
    (folder / "train-images-idx3-ubyte.gz").unlink()
    refused(folder, "has no file with the images for train")
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    refused(folder, "holds no IDX files; expected")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: b"", "begins with nothing; expected 00000803"),
        (lambda data: data[:10], "begins with 00000803; expected 00000803"),
        (lambda data: b"\0\0\x0d\3" + data[4:], "begins with 00000d03; expected 00000803"),
        (lambda data: b"\0\0\x08\1" + data[4:], "begins with 00000801; expected 00000803"),
        (lambda data: b"\x89PNG" + data[4:], "begins with 89504e47; expected"),
        (lambda data: data[:-1], "holds 35 values; its header says 3 x 4 x 3 = 36"),
        (lambda data: data + b"\0", "holds more values; its header says 3 x 4 x 3 = 36"),
        (lambda data: data[:4] + b"\xff" * 12 + data[16:], "holds 36 values; its header says 4294967295 x"),
    ],
)
def test_damaged_files(folder: Path, packed: bool, change, says: str):
    file = folder / "t10k-images-idx3-ubyte"
    data = change(file.read_bytes())
    file.unlink()
    (file.with_name(file.name + ".gz") if packed else file).write_bytes(gzip.compress(data) if packed else data)
    refused(folder, f"t10k-images-idx3-ubyte.* {says}")


def test_damaged_packing(folder: Path):
    file = folder / "train-images-idx3-ubyte.gz"
    data = file.read_bytes()
    for content in (data[: len(data) // 2], b"hello", data[:30] + bytes(8) + data[38:], data[:-8] + bytes(8)):
        file.write_bytes(content)
        refused(folder, "train-images-idx3-ubyte.gz cannot be read: .*; it may be cut off, fetch it again")


def test_numbers_and_sizes_that_differ(folder: Path):
    write(folder, "t10k", pictures(3), np.array([0, 1]))
    refused(folder, "t10k-images-idx3-ubyte holds 3 images and t10k-labels-idx1-ubyte 2 labels; expected one label per")
    write(folder, "t10k", np.zeros((2, 5, 5)), np.array([0, 1]))
    refused(folder, r"holds images of .*\(5, 5\).*; expected one size")


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=5)))
def test_any_array_comes_back(tmp_path_factory, array: np.ndarray):
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(encoded(array))
    assert np.array_equal(read_idx(file, 3), array)
    assert read_idx(file, 3).shape == array.shape


@given(st.binary(max_size=40))
def test_no_bytes_whatever_end_in_a_traceback(tmp_path_factory, data: bytes):
    for name in ("any", "any.gz"):
        file = tmp_path_factory.getbasetemp() / name
        file.write_bytes(data)
        with contextlib.suppress(OpsinError):
            assert encoded(read_idx(file, 1)) == data
