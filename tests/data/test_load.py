from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import missing

from opsin.data.load import load_data
from opsin.data.sources.index import INDEX
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(1)
PICTURES = RANDOM.integers(0, 256, (30, 6, 5), dtype=np.uint8)
LABELS = [f"class {at % 3}" for at in range(30)]


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    """The same thirty pictures in every form."""
    root = tmp_path_factory.mktemp("forms")
    for at, (picture, label) in enumerate(zip(PICTURES, LABELS, strict=True)):
        (root / "folder" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / "folder" / label / f"{at}.png")
    rows = [f"folder/{label}/{at}.png,{label}" for at, label in enumerate(LABELS)]
    (root / "table.csv").write_text("path,label\n" + "\n".join(rows))
    np.savez(root / "arrays.npz", images=PICTURES, labels=LABELS)
    idx = root / "idx"
    idx.mkdir()
    for name, array in (("images-idx3", PICTURES), ("labels-idx1", np.arange(30, dtype=np.uint8) % 3)):
        head = bytes((0, 0, 8, array.ndim)) + b"".join(side.to_bytes(4, "big") for side in array.shape)
        (idx / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    return {
        "folder": root / "folder",
        "csv": root / "table.csv",
        "npz": root / "arrays.npz",
        "idx": idx,
        "one idx file": idx / "train-labels-idx1-ubyte",
    }


def contents(data) -> Counter:
    """Each picture with its label."""
    return Counter(
        (data.picture(at).as_mode("L").pixels.tobytes(), data.classes[label][-1])
        for at, label in enumerate(data.labels.tolist())
    )


FORMS = ["folder", "csv", "npz", "idx", "one idx file"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_images(places: dict[str, Path], form: str):
    data = load_data(places[form])
    assert contents(data) == Counter(
        (picture.tobytes(), label[-1]) for picture, label in zip(PICTURES, LABELS, strict=True)
    )
    assert len(data.classes) == 3
    assert set(data.splits.tolist()) <= {"train", "validation", "test"}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_stored_opens_the_same_images_from_another_folder(
    places: dict[str, Path], form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    place = places[form]
    monkeypatch.chdir(place.parent)
    data = load_data(place.name, seed=3)
    stored = json.loads(json.dumps(data.source))
    assert stored == {"source": place.as_posix(), "seed": 3, "allow_unreadable": False}
    monkeypatch.chdir(tmp_path)
    again = load_data(**stored)
    assert again.fingerprint == data.fingerprint
    assert (again.name, again.names, again.source) == (data.name, data.names, data.source)


def test_the_home_folder(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(places["npz"].parent))
    monkeypatch.setenv("USERPROFILE", str(places["npz"].parent))
    data = load_data("~/arrays.npz")
    assert data.source["source"] == places["npz"].as_posix()


def test_a_link_stays_as_it_was_named(places: dict[str, Path], tmp_path: Path):
    try:
        (tmp_path / "link").symlink_to(places["folder"], target_is_directory=True)
    except OSError:
        pytest.skip("links need rights here")
    assert load_data(tmp_path / "link").source["source"] == (tmp_path / "link").as_posix()


def test_a_name_is_stored_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    for name in ("faces", Path("faces")):
        data = load_data(name, seed=5)
        assert data.source == {"source": "faces", "seed": 5, "allow_unreadable": False}
    assert load_data("faces").splits.tolist() == data.splits.tolist(), "fixed: the seed plays no part"


def test_what_exists_wins_over_a_name_and_says_so(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    shutil.copytree(places["folder"], tmp_path / "faces")
    monkeypatch.chdir(tmp_path)
    data = load_data("faces")
    assert len(data.labels) == 30
    assert any("faces is also the name of a set" in note for note in data.notes)


def test_the_seed_decides_splits_that_the_source_does_not(places: dict[str, Path]):
    splits = [tuple(load_data(places["npz"], seed=seed).splits.tolist()) for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


def test_a_few_unreadable_pictures_are_left_out_and_many_have_to_be_allowed(places: dict[str, Path], tmp_path: Path):
    root = tmp_path / "damaged"
    shutil.copytree(places["folder"], root)
    files = sorted(root.rglob("*.png"))
    for file in files[:5]:
        file.write_bytes(file.read_bytes()[:40])
    data = load_data(root)
    assert len(data.labels) == 25
    assert sorted(item.path for item in data.unreadable) == [path.relative_to(root).as_posix() for path in files[:5]]
    files[5].write_bytes(b"")
    with pytest.raises(OpsinError, match="6 of 30 images"):
        load_data(root)
    allowed = load_data(root, allow_unreadable=True)
    assert len(allowed.labels) == 24
    assert allowed.source["allow_unreadable"] is True


def test_progress_is_told(places: dict[str, Path], tmp_path: Path):
    root = tmp_path / "fresh"
    shutil.copytree(places["folder"], root)
    told: list[tuple[str, int, int]] = []
    load_data(root, progress=lambda *state: told.append(state))
    assert told
    assert all(total == 30 and 0 <= done <= 30 and isinstance(what, str) for what, done, total in told)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("fashion-minst", r"there is no file, folder or set fashion-minst \(did you mean fashion-mnist"),
        ("MNIST5K", r"there is no file, folder or set MNIST5K; expected a folder of images .*: mnist5k, photos"),
        ("flowers/", "there is no file, folder or set flowers/"),
        ("~nobody-at-all/x", "there is no file, folder or set ~nobody"),
        ("a\0b", "there is no file, folder or set"),
        ("x" * 5000, "there is no file, folder or set xxx"),
        ("", "nothing was given as data; expected a folder"),
        ("  ", "nothing was given as data"),
        (None, r"NoneType was given as data; expected .*; arrays go to Dataset\.from_arrays"),
        (PICTURES, "ndarray was given as data"),
    ],
)
def test_what_is_no_source(source: Any, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OpsinError, match=says) as caught:
        load_data(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("photos.zip", r"photos\.zip is packed; unpack it first and give the folder"),
        ("photos.tar.gz", "is packed"),
        ("one.png", r"one\.png is one \.png; expected a folder of images"),
        ("array.npy", r"is one \.npy; expected .*an \.npz file"),
        ("none", "is one file; expected"),
        ("labels.csv", "labels.csv is empty"),
        ("arrays.npz", "arrays.npz cannot be read"),
        ("table.parquet", "cannot be read as Parquet"),
        ("t10k-images-idx3-ubyte", "has no file with the labels for test"),
    ],
)
def test_a_file_that_is_no_source(name: str, says: str, tmp_path: Path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(OpsinError, match=says) as caught:
        load_data(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_source(places: dict[str, Path], tmp_path: Path):
    with pytest.raises(OpsinError, match="holds no images"):
        load_data(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(OpsinError, match="is the folder of a run, not of images"):
        load_data(tmp_path)
    with pytest.raises(OpsinError, match="holds 10 images but no class folders"):
        load_data(places["folder"] / "class 0")


def test_one_class_in_every_form(tmp_path: Path):
    np.savez(tmp_path / "one.npz", images=PICTURES, labels=[0] * 30)
    with pytest.raises(OpsinError, match="one class"):
        load_data(tmp_path / "one.npz")
    Image.fromarray(PICTURES[0]).save(tmp_path / "a.png")
    (tmp_path / "one.csv").write_text("path,label\na.png,cat\n")
    with pytest.raises(OpsinError, match="one class"):
        load_data(tmp_path / "one.csv")


@pytest.mark.parametrize(("name", "counts"), [("mnist5k", (350, 50, 100)), ("fashion-mnist", (5500, 500, 1000))])
def test_the_splits_of_named_sets(name: str, counts: tuple[int, int, int]):
    if not INDEX[name].here():
        missing(INDEX[name].needs)
    data = load_data(name)
    for split, count in zip(("train", "validation", "test"), counts, strict=True):
        assert set(data.counts()[split].values()) == {count}
