"""Dataset: what it holds, how it is split, and what it says of its images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opsin.data import dataset as module
from opsin.data.dataset import Dataset, Split
from opsin.data.decode import UnreadableImage, from_array
from opsin.data.preprocess import Preprocess
from opsin.data.scan import array_hash, content_hash
from opsin.data.sources.found import SPLITS, Found
from opsin.data.splits import decide_splits
from opsin.errors import OpsinError
from opsin.records import Unreadable

RANDOM = np.random.default_rng(2)


def pictures(count: int, channels: int = 1) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, 6, 5, channels)[: 3 if channels == 1 else 4], dtype=np.uint8)


def made(count: int = 60, **options) -> Dataset:
    return Dataset.from_arrays(pictures(count), ["cat", "dog", "eel"] * (count // 3), **options)


def found_in(folder: Path, **options) -> Found:
    paths = sorted(folder.rglob("*.png"))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return Found(folder.name, paths, [path.parent.name for path in paths], names, **options)


@pytest.fixture(scope="module")
def photos(picture_folder) -> Dataset:
    return Dataset.scan(found_in(picture_folder), source={"source": "photos", "seed": 4}, seed=4)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three classes of 100, 100 and 3 pictures."""
    for name, count in (("cat", 100), ("dog", 100), ("eel", 3)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for at in range(count):
            Image.fromarray(pictures(1)[0]).save(tmp_path / "pets" / name / f"{at:03}.png")
    return tmp_path / "pets"


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_files(photos, picture_folder):
    assert len(photos) == 60
    assert photos.classes == ("astronaut", "coffee", "rocket")
    assert photos.labels.dtype == np.int64
    assert photos.names[photos.labels.tolist().index(1)].startswith("coffee/")
    first = picture_folder / photos.names[0]
    assert photos.hashes[0] == content_hash(first.read_bytes())
    assert photos.splits.tolist() == decide_splits(photos.hashes, None, None, 4)[0].tolist()
    assert photos.sizes.tolist() == [[96, 96]] * 60
    assert photos.channels == 3
    assert photos.source == {"source": "photos", "seed": 4}
    assert photos.unreadable == ()
    assert photos.groups is None
    assert any("no groups are known" in note for note in photos.notes)
    assert np.array_equal(photos.picture(7).pixels, np.asarray(Image.open(picture_folder / photos.names[7])))


def test_repr_says_what_is_needed(photos):
    counts = {name: len(getattr(photos, name)) for name in SPLITS}
    assert repr(photos) == (
        f"<Dataset {photos.name}: 60 colour images of 96 x 96 px, 3 classes (astronaut, coffee, rocket), "
        f"train {counts['train']}, validation {counts['validation']}, test {counts['test']}>"
    )
    assert repr(photos.test) == f"<test of {photos.name}: {counts['test']} images>"
    many = Dataset.from_arrays(pictures(7), range(7), splits=["train"] * 6 + ["test"])
    many.sizes = np.array([[6, 5]] * 6 + [[9, 5]])
    assert "7 grey images of 6-9 x 5 px, 7 classes (0, 1, 2, 3, 4, ...), train 6, test 1>" in repr(many)


def test_splits_are_parts_in_order(photos):
    parts = [photos.train, photos.validation, photos.test]
    assert sorted(np.concatenate([part.indices for part in parts]).tolist()) == list(range(60))
    for name, part in zip(SPLITS, parts, strict=True):
        assert isinstance(part, Split)
        assert (part.name, part.dataset) == (name, photos)
        assert part.indices.dtype == np.int64
        assert part.indices.tolist() == [at for at in range(60) if photos.splits[at] == name]
        assert part.names == tuple(photos.names[at] for at in part.indices)
        assert part.hashes == tuple(photos.hashes[at] for at in part.indices)
        assert part.labels.tolist() == photos.labels[part.indices].tolist()
        pixels = part.pixels(Preprocess.simple(3, 20))
        assert np.array_equal(pixels, photos.pixels(Preprocess.simple(3, 20))[part.indices])
    assert sum(sum(of.values()) for of in photos.counts().values()) == 60
    assert photos.counts()["train"]["coffee"] == int((photos.train.labels == 1).sum())


def test_labels_are_looked_up_when_they_are_asked_for(monkeypatch):
    data = made()
    train, before = data.train, data.fingerprint
    turned = (data.labels + 1) % 3
    with monkeypatch.context() as patch:
        patch.setattr(data, "labels", turned)
        assert train.labels.tolist() == turned[train.indices].tolist()
        assert data.counts()["train"]["cat"] == int((train.labels == 0).sum())
        assert data.fingerprint != before
    assert data.fingerprint == before


def test_pixels_by_way_of_the_cache_and_without(photos, digits):
    preprocess = Preprocess.simple(3, 24)
    said = []
    pixels = photos.pixels(preprocess, say=said.append)
    assert isinstance(pixels, np.memmap)
    assert np.array_equal(pixels[3], preprocess.pixels(photos.picture(3)))
    assert len(said) == 1
    assert "decoding 60 images once: 104 kB in " in said[0]
    assert np.shares_memory(digits.pixels(Preprocess.simple(1, 28)), digits.pictures)


def test_write_splits(tmp_path):
    data = made(groups=["g", None, "h"] * 20)
    data.write_splits(tmp_path / "splits.parquet")
    columns = pq.read_table(tmp_path / "splits.parquet").to_pydict()
    assert columns == {
        "name": [str(at) for at in range(60)],
        "hash": list(data.hashes),
        "label": ["cat", "dog", "eel"] * 20,
        "group": ["g", "", "h"] * 20,
        "split": data.splits.tolist(),
    }
    made().write_splits(tmp_path / "splits.parquet")
    assert pq.read_table(tmp_path / "splits.parquet")["group"].null_count == 60
    (tmp_path / "file").write_text("")
    with pytest.raises(OpsinError, match=r"cannot write .*splits.parquet"):
        data.write_splits(tmp_path / "file" / "splits.parquet")


def test_the_fingerprint_is_of_everything_that_decides_a_training():
    data = made(splits=(["train"] * 4 + ["validation", "test"]) * 10)
    again = Dataset.from_arrays(data.pictures, ["cat", "dog", "eel"] * 20, splits=data.splits.tolist(), name="other")
    assert again.fingerprint == data.fingerprint
    assert len(data.fingerprint) == 32
    changes = {
        "labels": np.roll(data.labels, 1),
        "hashes": (*data.hashes[1:], data.hashes[0]),
        "splits": np.roll(data.splits, 1),
        "classes": ("cat", "eel", "dog"),
    }
    seen = {data.fingerprint}
    for name, value in changes.items():
        before = getattr(again, name)
        setattr(again, name, value)
        seen.add(again.fingerprint)
        setattr(again, name, before)
    assert len(seen) == 5


def test_the_fingerprint_tells_apart_names_that_run_together():
    data = made()
    seen = set()
    for classes in (("ab", "c", "d"), ("a", "bc", "d"), ("abc", "", "d")):
        data.classes = classes
        seen.add(data.fingerprint)
    assert len(seen) == 3


def test_duplicates_are_found_once_and_counted(monkeypatch):
    images = pictures(40)
    images[1] = images[0]
    images[30:38] = images[:8]
    splits = ["train"] * 30 + ["test"] * 10
    data = Dataset.from_arrays(images, ["a", "b"] * 20, splits=splits)
    before = data.notes
    monkeypatch.setattr(module, "LISTED", 3)
    assert [(pair.kind, pair.second_split) for pair in data.duplicates] == [("exact", "test")] * 3
    assert data.duplicates is data.duplicates
    assert data.notes == (
        *before,
        "8 images of validation or test have a copy in another split (8 exact, 0 near), so that what is measured is "
        "too good; the first 3 are listed",
        "2 images are exact copies of another one in the same split",
    )
    assert json.dumps([vars(pair) for pair in data.duplicates])


def test_duplicates_of_files(folder):
    shade = Image.open(folder / "cat" / "000.png").point(lambda value: value * 0.9)
    shade.save(folder / "dog" / "shade.png")
    (folder / "dog" / "same.png").write_bytes((folder / "cat" / "000.png").read_bytes())
    found = found_in(folder)
    place = ["train" if name.startswith("cat") else "test" for name in found.names]
    found = found_in(folder, splits=place)
    pairs = Dataset.scan(found, source={}, seed=0).duplicates
    assert [(pair.kind, pair.first, pair.second) for pair in pairs] == [
        ("exact", "cat/000.png", "dog/same.png"), ("near", "cat/000.png", "dog/shade.png"),
    ]  # fmt: skip


# --- arrays -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.permutations(list(range(30))), st.integers(0, 29), st.integers(0, 9))
def test_an_image_stays_in_its_split(order, left_out, seed):
    images, labels = pictures(30), ["a", "b"] * 15
    whole = Dataset.from_arrays(images, labels, seed=seed)
    place = dict(zip(whole.hashes, whole.splits.tolist(), strict=True))
    kept = [at for at in order if at != left_out]
    other = Dataset.from_arrays(images[kept], [labels[at] for at in kept], seed=seed)
    assert [place[key] for key in other.hashes] == other.splits.tolist()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 2, 10, 9], ("2", "9", "10")),
        (np.array([1, 0, 1, 1], np.uint8), ("0", "1")),
        (np.array([1.0, 0.0, 1.0, 2.0]), ("0", "1", "2")),
        ([True, False, True, False], ("False", "True")),
        (["img10", "img9", "img10", "Img1"], ("Img1", "img9", "img10")),
        (np.array([b"x", b"y", b"x", b"x"]), ("x", "y")),
    ],
)
def test_labels_of_any_type(labels, classes):
    data = Dataset.from_arrays(pictures(4), labels)
    assert data.classes == classes
    for label, number in zip(labels, data.labels.tolist(), strict=True):
        value = label.decode() if isinstance(label, bytes) else label
        value = int(value) if isinstance(value, float) else value
        assert classes[number] == str(value)


def test_classes_in_an_order_of_one_s_own():
    data = Dataset.from_arrays(pictures(4), [1, 0, 0, 2], ["zebra", "ant", "mole"])
    assert data.classes == ("zebra", "ant", "mole")
    assert data.labels.tolist() == [1, 0, 0, 2]
    data = Dataset.from_arrays(pictures(4), ["ant", "zebra", "ant", "ant"], ["zebra", "ant", "mole"])
    assert data.labels.tolist() == [1, 0, 1, 1]
    assert "class mole: no image at all: the network cannot learn it" in data.notes


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, bool])
def test_arrays_of_every_kind(channels, kind):
    images = pictures(12, channels).astype(kind)
    data = Dataset.from_arrays(images, [0, 1] * 6, name="mine")
    assert data.name == "mine"
    assert data.source == {}
    assert data.channels == (3 if channels >= 3 else 1)
    mode = "RGB" if channels >= 3 else "L"
    assert np.array_equal(data.picture(5).pixels, from_array(images[5], mode).pixels)
    assert data.hashes[5] == array_hash(np.asarray(data.pictures)[5])
    preprocess = Preprocess.simple(3, (6, 5))
    assert np.array_equal(data.pixels(preprocess)[5], preprocess.pixels(from_array(images[5], "RGB")))


@pytest.mark.parametrize(
    ("images", "labels", "options", "says"),
    [
        (pictures(3), ["a", None, float("nan")], {}, "2 of 3 labels are missing, the first at 1"),
        (pictures(3), ["a", " ", "b"], {}, "1 of 3 labels are missing, the first at 1"),
        (pictures(3), ["a", "b"], {}, "one of each per picture.*'pictures': 3, 'labels': 2"),
        (pictures(3), ["a", "b", "b"], {"groups": ["x"]}, "'groups': 1"),
        (pictures(3), ["a", "a", "a"], {}, r"one class only, a \(3 images\); expected at least two classes"),
        (pictures(3), ["a", "b", "c"], {"classes": ["a", "b"]}, "label 'c', which is not among its classes"),
        (pictures(3), [0, 1, 2], {"classes": ["a", "b"]}, "label 2 was given; expected a position in the 2 classes"),
        (pictures(3), [0, -1, 1], {"classes": ["a", "b"]}, "label -1 was given"),
        (pictures(3), ["cat", "Cat", "dog"], {}, "'cat' and 'Cat', which are equal but for case"),
        (pictures(3), ["a", "b", "b"], {"splits": ["train", "dev", "test"]}, "split 'dev' was given; expected one of"),
        (pictures(0), [], {}, "holds no images"),
        (pictures(3).astype(float), ["a", "b", "b"], {}, "type float64 were given; expected uint8"),
        (np.zeros((2, 3, 9, 9), np.uint8), ["a", "b"], {}, "move the channels last"),
        ([pictures(1)[0], pictures(2)], ["a", "b"], {}, "cannot be made into one array"),
        ("flowers/", ["a", "b"], {}, "expected uint8"),
    ],
)
def test_bad_arrays(images, labels, options, says):
    with pytest.raises(OpsinError, match=says) as caught:
        Dataset.from_arrays(images, labels, **options)
    assert "\n" not in str(caught.value)


# --- unreadable images and small classes ------------------------------------------------------------------------------


def spoil(folder: Path, name: str, count: int) -> list[str]:
    paths = sorted((folder / name).iterdir())[:count]
    for path in paths:
        path.write_bytes(path.read_bytes()[:60])
    return [path.relative_to(folder).as_posix() for path in paths]


def test_unreadable_images_are_left_out_and_listed(folder):
    (folder / "dog" / "empty.png").write_bytes(b"")
    names = spoil(folder, "cat", 2)
    gone = Unreadable("cat/gone.png", "there is no such file")
    data = Dataset.scan(found_in(folder, unreadable=(gone,)), source={}, seed=0)
    assert [item.path for item in data.unreadable] == ["cat/gone.png", *names, "dog/empty.png"]
    assert "empty" in data.unreadable[-1].reason
    assert len(data) == len(data.labels) == len(data.names) == len(data.sizes) == 201
    assert not {*names, "dog/empty.png"} & set(data.names)
    assert len(data.pictures) == 201
    assert np.array_equal(data.picture(0).pixels, data.pixels(Preprocess.simple(1, (6, 5)))[0])
    assert "4 images were left out as unreadable, the first being cat/gone.png: there is no such file" in data.notes
    clean = Dataset.scan(found_in(folder), source={}, seed=0)
    assert data.fingerprint == clean.fingerprint


@pytest.mark.parametrize(("bad", "stops"), [(5, False), (6, True)])
def test_more_than_one_percent_and_more_than_five_stop_it(folder, bad, stops):
    names = spoil(folder, "cat", bad)
    found = found_in(folder)
    if not stops:
        assert len(Dataset.scan(found, source={}, seed=0)) == 203 - bad
        return
    with pytest.raises(OpsinError, match=r"6 of 203 images of pets cannot be read, .* allow_unreadable") as caught:
        Dataset.scan(found, source={}, seed=0)
    assert f"the first being {names[0]}: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(Dataset.scan(found, source={}, seed=0, allow_unreadable=True)) == 197


def test_six_of_many_are_few(monkeypatch):
    found = Found("x", pictures(1000), ["a", "b"] * 500, [str(i) for i in range(1000)])
    for count, stops in ((10, False), (11, True)):
        unreadable = [Unreadable(f"{i}", "gone") for i in range(count)]
        tried = Found("x", found.pictures, found.labels, found.names, unreadable=tuple(unreadable))
        if stops:
            with pytest.raises(OpsinError, match="11 of 1,011 images"):
                Dataset.scan(tried, source={}, seed=0)
        else:
            Dataset.scan(tried, source={}, seed=0)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_class_without_readable_images(folder, allowed):
    spoil(folder, "eel", 3)
    with pytest.raises(
        OpsinError, match=r"class eel of pets is left with none of its 3 images.*eel/000.png: "
    ) as caught:
        Dataset.scan(found_in(folder), source={}, seed=0, allow_unreadable=allowed)
    assert "repair them, or remove the class" in str(caught.value)


def test_no_readable_image_at_all(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_text("no image")
    with pytest.raises(OpsinError, match=r"none of the 2 images of .* can be read; the first, a/x.png: it is text"):
        Dataset.scan(found_in(tmp_path), source={}, seed=0, allow_unreadable=True)


def test_a_class_with_one_image_is_named():
    """It can be trained on, or be measured, but not both: that is no reason to refuse the other classes."""
    data = Dataset.from_arrays(pictures(41), ["a", "b"] * 20 + ["lonely"])
    assert "class lonely: a single image" in data.notes
    absent = [name for name in SPLITS if data.splits[-1] != name]
    assert sum("lonely" in note for note in data.notes) == 1 + len(absent)


def test_a_source_with_its_own_splits():
    splits = ["train"] * 40 + ["test"] * 20
    data = Dataset.from_arrays(pictures(60), ["a", "b"] * 30, splits=splits, groups=["g"] * 40 + ["h"] * 20)
    assert data.splits[40:].tolist() == ["test"] * 20
    assert len(set(data.splits[:40].tolist())) == 1, "a group is not divided to make validation images"
    assert not any("no groups" in note for note in data.notes)


def test_a_picture_that_is_gone(photos, monkeypatch):
    monkeypatch.setattr(photos, "pictures", [Path("gone.png")])
    with pytest.raises(UnreadableImage, match="there is no such file"):
        photos.picture(0)


def test_progress_is_told(picture_folder):
    told = []
    Dataset.scan(found_in(picture_folder), source={}, seed=0, progress=lambda *what: told.append(what))
    assert told[-1] == ("reading images", 60, 60)
