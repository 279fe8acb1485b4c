from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from opsin.data.sources.folder import find
from opsin.errors import OpsinError


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), shade).save(path, "PNG")
    return path


def tree(root: Path, *names: str) -> Path:
    for shade, name in enumerate(names):
        picture(root / name, shade)
    return root


def refused(root: Path, says: str) -> None:
    with pytest.raises(OpsinError, match=says) as caught:
        find(root)
    assert "\n" not in str(caught.value)


def test_class_folders(tmp_path: Path):
    root = tree(tmp_path / "pets", "dog/10.png", "dog/2.png", "cat/deep/er/1.PNG", "cat/1.png", "cat 10/1.png")
    found = find(root)
    assert found.name == "pets"
    assert found.names == ["cat/1.png", "cat/deep/er/1.PNG", "cat 10/1.png", "dog/2.png", "dog/10.png"]
    assert found.labels == ["cat", "cat", "cat 10", "dog", "dog"]
    assert found.pictures == [root / name for name in found.names]
    assert (found.splits, found.groups, found.classes) == (None, None, None)
    assert (found.notes, found.unreadable) == ((), ())


@pytest.mark.parametrize("word", ["val", "valid", "validation", "VAL", "Validation"])
def test_split_folders(tmp_path: Path, word: str):
    root = tree(tmp_path, *(f"{split}/{name}/1.png" for split in ("Train", word, "test") for name in ("cat", "dog")))
    found = find(root)
    assert Counter(zip(found.splits or (), found.labels, strict=True)) == Counter(
        (split, name) for split in ("train", "validation", "test") for name in ("cat", "dog")
    )
    assert set(found.names) >= {"Train/cat/1.png", f"{word}/dog/1.png"}


def test_a_single_split_folder_says_nothing_of_the_others(tmp_path: Path):
    found = find(tree(tmp_path, "train/cat/1.png", "train/dog/1.png"))
    assert found.splits is None
    assert found.labels == ["cat", "dog"]
    assert found.notes == ("there is only the split folder train: all splits are taken from its images",)


def test_a_train_is_also_a_class(tmp_path: Path):
    found = find(tree(tmp_path, "train/1.png", "bus/1.png", "plane/1.png"))
    assert found.labels == ["bus", "plane", "train"]
    assert found.splits is None
    assert found.notes == ("the folder train is taken as a class, because folders with other names lie beside it",)


def test_hidden_things_are_passed_over_silently_and_others_with_a_note(tmp_path: Path):
    root = tree(
        tmp_path, "cat/1.png", "dog/1.png", ".git/x/1.png", "cat/.hidden.png", "cat/.deep/1.png", "__MACOSX/cat/1.png"
    )
    assert find(root).names == ["cat/1.png", "dog/1.png"]
    assert find(root).notes == ()
    (root / "cat" / "labels.txt").write_text("hello")
    (root / "README.md").write_text("hello")
    (root / "dog" / "Thumbs.db").write_bytes(b"\0\1")
    assert find(root).notes == (
        "files that are no images were passed over (3): cat/labels.txt, dog/Thumbs.db, README.md",
    )


def test_images_beside_the_class_folders_are_said(tmp_path: Path):
    root = tree(tmp_path, "cat/1.png", "dog/1.png", "preview.png")
    assert find(root).names == ["cat/1.png", "dog/1.png"]
    assert find(root).notes == ("images that lie in no class folder were passed over (1): preview.png",)
    split = tree(tmp_path / "s", "train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/dog/1.png", "test/9.png")
    assert find(split).notes == ("images that lie in no class folder were passed over (1): test/9.png",)


def test_a_wrong_suffix_counts_by_the_first_bytes(tmp_path: Path):
    root = tree(tmp_path, "cat/1.dat", "cat/2", "dog/1.jpg")
    assert find(root).names == ["cat/1.dat", "cat/2", "dog/1.jpg"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), r"holds no images; expected .*class/x\.jpg"),
        (("1.png", "2.png"), r"holds 2 images but no class folders; expected .*class/x\.jpg, or give a table"),
        (("cat/1.png",), "has one class folder, cat; expected two or more"),
        (("flowers/cat/1.png", "flowers/dog/1.png"), r"one class folder, flowers; .*\(give .*flowers if its folders"),
        (
            ("train/1.png", "test/1.png"),
            r"holds 2 images but no class folders; expected x/train\|val\|test/class/x\.jpg",
        ),
        (("train/cat/1.png", "test/cat/1.png"), "has one class folder, cat"),
        (("train/a/1.png", "val/a/1.png", "valid/a/1.png"), "holds val, valid, which all mean validation"),
        (("train/a/1.png", "test/a/1.png", "extra/a/1.png"), "the split folders test, train beside extra; expected"),
        (
            ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"),
            "test lacks the class b; expected the same",
        ),
        (("Cat/1.png", "cat/1.png", "dog/1.png"), "the classes 'Cat' and 'cat', which are equal but for case"),
        (("Cat /1.png", "cat/1.png", "dog/1.png"), "the classes 'cat' and 'Cat ', which"),
        (("train/Cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/dog/1.png"), "'cat' and 'Cat', which"),
        (("caf\u00e9/1.png", "cafe\u0301/1.png"), r"'cafe\\u0301' and 'caf\\xe9'"),
    ],
)
def test_a_folder_that_cannot_be_meant(tmp_path: Path, names: tuple[str, ...], says: str):
    root = tree(tmp_path / "x", *names)
    root.mkdir(exist_ok=True)
    if len(list(root.rglob("*.png"))) < len(names):
        pytest.skip("this file system takes two of the names for one")
    refused(root, says)


def test_a_table_that_lies_there_is_pointed_at(tmp_path: Path):
    tree(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text("path,label")
    refused(tmp_path, "or give a table with the columns path and label, such as labels.csv")


def test_class_folders_without_images_are_named(tmp_path: Path):
    root = tree(tmp_path, "cat/1.png", "dog/1.png")
    (root / "fox").mkdir()
    (root / "fox" / "notes.txt").write_text("none yet")
    refused(root, "1 class folder holds no images: fox; expected")
    (root / "owl" / "deep").mkdir(parents=True)
    refused(root, "2 class folders hold no images: fox, owl; expected")
    split = tree(tmp_path / "s", "train/cat/1.png", "train/dog/1.png", "test/cat/1.png")
    (split / "test" / "dog").mkdir()
    refused(split, "1 class folder holds no images: test/dog")


def test_folders_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tree(tmp_path, "cat/1.png", "cat/locked/1.png", "dog/1.png", "fox/1.png")
    scandir = os.scandir

    def locked(*names: str):
        def scan(path):
            if Path(path).name in names:
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", scan)

    locked("locked")
    found = find(root)
    assert [tuple(item) for item in found.unreadable] == [
        ("cat/locked", "the folder cannot be read: Permission denied")
    ]
    assert found.names == ["cat/1.png", "dog/1.png", "fox/1.png"]
    locked("fox")
    refused(root, "the class folder .*fox: the folder cannot be read: Permission denied; allow reading it")


def test_a_folder_that_is_gone(tmp_path: Path):
    refused(tmp_path / "gone", "the folder .*gone cannot be read: No such file")


@pytest.mark.skipif(sys.platform != "linux", reason="links, and names that are no text")
def test_links_and_names_that_are_no_text(tmp_path: Path):
    root = tree(tmp_path / "a", "cat/1.png", "dog/1.png")
    tree(tmp_path / "elsewhere", "1.png")
    (root / "fox").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "cat" / "loop").symlink_to(root, target_is_directory=True)
    picture(Path(os.fsdecode(os.fsencode(root) + b"/dog/caf\xe9.png")))
    found = find(root)
    assert found.names == ["cat/1.png", "dog/1.png", "dog/caf\\xe9.png", "fox/1.png"]
    assert all(Path(path).is_file() for path in found.pictures)
    assert all(name.encode() for name in found.names)


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)


@hypothesis_settings(deadline=None, max_examples=15)
@given(st.lists(NAMES, min_size=2, max_size=4, unique_by=lambda name: name.casefold()), st.data())
def test_every_image_is_found_once_with_its_folder_as_label(tmp_path_factory, classes: list[str], data: st.DataObject):
    root = tmp_path_factory.mktemp("x")
    made = {}
    for name in classes:
        for number in range(data.draw(st.integers(1, 3))):
            deep = data.draw(st.sampled_from(["", "deep/"]))
            made[f"{name}/{deep}{number}.png"] = name
    tree(root, *made)
    try:
        found = find(root)
    except OpsinError as error:  # two names that Unicode takes for one, or words that name splits
        assert "equal but for" in str(error) or "split" in str(error)  # noqa: PT017
        return
    assert sorted(found.names) == sorted(made)
    import unicodedata

    assert found.labels == [unicodedata.normalize("NFC", made[name]) for name in found.names]
