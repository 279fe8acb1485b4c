"""Every set is made small, in the layout and the formats that torchvision reads; torchvision itself opens it."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import pickle
import socket
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torchvision.datasets as torchvision_datasets
from PIL import Image
from tests.conftest import missing

from opsin.data.decode import decode
from opsin.data.sources import torchvision_sets
from opsin.data.sources.found import Found
from opsin.data.sources.published import DEBIAN_FASHION, SETS, is_here
from opsin.data.sources.torchvision_sets import find
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(23)
PER_CLASS = {"train": 6, "validation": 2, "test": 3}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, and no network."""
    monkeypatch.setenv("OPSIN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(torchvision_sets, "why_unreachable", lambda _: "no network here")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a set count as whole with few images, of which two per class are for validation."""

    def change(name: str, images: int, **changes: Any) -> None:
        held_out = {"validation": 2} if SETS[name].validation else {}
        monkeypatch.setitem(SETS, name, replace(SETS[name], images=images, **held_out, **changes))

    return change


def pixels(count: int, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, *shape), dtype=np.uint8)


def photo(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(1, 8, 9, 3)[0]).save(file)


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def text(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


def idx(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    head = bytes((0, 0, 8, array.ndim)) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    file.write_bytes(head + array.astype(np.uint8).tobytes())


def mnist(kind: str, folder: Path, prefix: str = "", labels: range = range(10), test: str = "t10k") -> None:
    for split, amount in (("train", 6), (test, 3)):
        answers = np.repeat(np.array(labels), amount)
        idx(folder / kind / "raw" / f"{prefix}{split}-images-idx3-ubyte", pixels(len(answers), 5, 5))
        idx(folder / kind / "raw" / f"{prefix}{split}-labels-idx1-ubyte", answers)


def cifar(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Two classes; the files are pickles, as published."""
    kind = getattr(torchvision_datasets, SETS[name].kind)
    base, key = folder / kind.base_folder, "labels" if name == "cifar10" else "fine_labels"
    base.mkdir(parents=True)
    for which, amount in (("train_list", 6), ("test_list", 3)):
        file = base / getattr(kind, which)[0][0]
        answers = [0, 1] * amount
        file.write_bytes(pickle.dumps({"data": pixels(len(answers), 3072), key: answers}))
        monkeypatch.setattr(kind, which, [[file.name, md5(file)]])
    meta = base / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: ["cat", "dog"]}))
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(meta)})


def svhn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {}
    for split, amount in (("train", 6), ("test", 3)):
        file = folder / f"{split}_32x32.mat"
        scipy.io.savemat(file, {"X": pixels(32, 32, 3, 2 * amount), "y": np.array([[10], [1]] * amount)})
        files[split] = ["http://nowhere.invalid", file.name, md5(file)]
    monkeypatch.setattr(torchvision_datasets.SVHN, "split_list", files)


def stl10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = folder / "stl10_binary"
    base.mkdir()
    for which, amount in (("train", 6), ("test", 3)):
        (base / f"{which}_X.bin").write_bytes(pixels(2 * amount, 3, 96, 96).tobytes())
        (base / f"{which}_y.bin").write_bytes(bytes([1, 2] * amount))
        parts = [[name, md5(base / name)] for name in (f"{which}_X.bin", f"{which}_y.bin")]
        monkeypatch.setattr(torchvision_datasets.STL10, f"{which}_list", parts)
    text(base / "class_names.txt", ["cat", "dog"])


def flowers102(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = folder / "flowers-102"
    labels, ids = [], {"trnid": [], "valid": [], "tstid": []}
    for word, split in (("trnid", "train"), ("valid", "validation"), ("tstid", "test")):
        for flower in (1, 2):
            for _ in range(PER_CLASS[split]):
                labels.append(flower)
                ids[word].append(len(labels))
                photo(base / "jpg" / f"image_{len(labels):05d}.jpg")
    scipy.io.savemat(base / "imagelabels.mat", {"labels": [labels]})
    scipy.io.savemat(base / "setid.mat", {word: [numbers] for word, numbers in ids.items()})
    known = {"image": ("102flowers.tgz", "0")}
    known |= {
        key: (f"{name}.mat", md5(base / f"{name}.mat")) for key, name in (("label", "imagelabels"), ("setid", "setid"))
    }
    monkeypatch.setattr(torchvision_datasets.Flowers102, "_file_dict", known)


def pets(folder: Path, _: pytest.MonkeyPatch) -> None:
    base = folder / "oxford-iiit-pet"
    for split, amount in (("trainval", 6), ("test", 3)):
        lines = [
            (f"{breed}_{split}{at}", label) for label, breed in ((1, "Cat_a"), (2, "dog_b")) for at in range(amount)
        ]
        text(base / "annotations" / f"{split}.txt", [f"{name} {label} {label} 1" for name, label in lines])
        for name, _label in lines:
            photo(base / "images" / f"{name}.jpg")


def food101(folder: Path, _: pytest.MonkeyPatch) -> None:
    base = folder / "food-101"
    for split, amount in (("train", 6), ("test", 3)):
        listed = {dish: [f"{dish}/{split}{at}" for at in range(amount)] for dish in ("apple_pie", "waffles")}
        text(base / "meta" / f"{split}.json", [json.dumps(listed)])
        for names in listed.values():
            for name in names:
                photo(base / "images" / f"{name}.jpg")


def dtd(folder: Path, _: pytest.MonkeyPatch) -> None:
    base = folder / "dtd" / "dtd"
    for word, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        names = [f"{kind}/{word}{at}.jpg" for kind in ("dotted", "woven") for at in range(PER_CLASS[split])]
        text(base / "labels" / f"{word}1.txt", names)
        for name in names:
            photo(base / "images" / name)


def eurosat(folder: Path, _: pytest.MonkeyPatch) -> None:
    for kind in ("Forest", "River"):
        for at in range(4):
            photo(folder / "eurosat" / "2750" / kind / f"{kind}_{at}.jpg")


def gtsrb(folder: Path, _: pytest.MonkeyPatch) -> None:
    base = folder / "gtsrb"
    for label in (0, 1):
        for track in range(3):
            for frame in range(2):
                photo(base / "GTSRB" / "Training" / f"{label:05d}" / f"{track:05d}_{frame:05d}.ppm")
    names = [f"{at:05d}.ppm" for at in range(6)]
    for name in names:
        photo(base / "GTSRB" / "Final_Test" / "Images" / name)
    rows = [f"{name};5;5;0;0;5;5;{at % 2}" for at, name in enumerate(names)]
    text(base / "GT-final_test.csv", ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId", *rows])


MAKERS: dict[str, tuple[Callable[..., None], int]] = {
    "cifar10": (partial(cifar, name="cifar10"), 18),
    "cifar100": (partial(cifar, name="cifar100"), 18),
    "svhn": (svhn, 18),
    "stl10": (stl10, 18),
    "flowers102": (flowers102, 22),
    "pets": (pets, 18),
    "food101": (food101, 18),
    "dtd": (dtd, 22),
    "eurosat": (eurosat, 8),
    "gtsrb": (gtsrb, 18),
}
"""What makes each set small, and how many images it then has."""


def opened(name: str, root: Path) -> list[tuple[str, Any]]:
    """Each picture of the set as torchvision gives it, with its split."""
    kind = getattr(torchvision_datasets, SETS[name].kind)
    return [(split, item) for split, options in SETS[name].splits.items() for item in kind(root, **options)]


def check_against_torchvision(found: Found, name: str, root: Path) -> None:
    kind = getattr(torchvision_datasets, SETS[name].kind)
    classes = getattr(kind(root, **next(iter(SETS[name].splits.values()))), "classes", None)
    items = opened(name, root)
    assert len(items) == len(found)
    for at, (split, (image, label)) in enumerate(items):
        picture = found.pictures[at]
        mine = picture if isinstance(picture, np.ndarray) else decode(picture, "RGB").pixels
        assert np.array_equal(mine, np.asarray(image)), f"{name} {at}"
        assert found.labels[at] == (str(classes[label]) if classes else str(label))
        own = found.splits[at] if found.splits else ""
        assert own == split or (own, split) == ("validation", "train")


@pytest.mark.parametrize("name", MAKERS)
def test_a_set_is_what_torchvision_reads(name: str, root: Path, tiny, monkeypatch: pytest.MonkeyPatch):
    make, count = MAKERS[name]
    assert not is_here(SETS[name], root)
    make(root, monkeypatch)
    tiny(name, count)
    found = find(name)
    check_against_torchvision(found, name, root)
    assert is_here(SETS[name], root)
    counts = Counter(zip(found.splits or (), found.labels, strict=False))
    if name == "eurosat":
        assert found.splits is None
    else:
        assert {number for (split, _), number in counts.items() if split == "validation"} == {2}
        assert {number for (split, _), number in counts.items() if split == "test"} == {3}
    if not isinstance(found.pictures, np.ndarray):
        assert [root / path for path in found.names] == list(found.pictures)


def test_frames_of_one_traffic_sign_stay_together(root: Path, tiny, monkeypatch: pytest.MonkeyPatch):
    gtsrb(root, monkeypatch)
    tiny("gtsrb", 18)
    found = find("gtsrb")
    assert found.groups is not None
    assert Counter(found.groups) == {"": 6, **{f"{label:05d}/{track:05d}": 2 for label in (0, 1) for track in range(3)}}
    splits = {group: set() for group in found.groups}
    for group, split in zip(found.groups, found.splits or (), strict=True):
        splits[group].add(split)
    assert all(len(places) == 1 for places in splits.values())


@pytest.mark.parametrize(
    ("name", "prefix", "labels", "test"),
    [("mnist", "", range(10), "t10k"), ("fashion-mnist", "", range(10), "t10k"), ("kmnist", "", range(10), "t10k"),
     ("emnist-letters", "emnist-letters-", range(1, 27), "test")],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_sets_of_idx_files(name: str, prefix: str, labels: range, test: str, packed: bool, root: Path, tiny):
    kind = SETS[name].kind
    mnist(kind, root, prefix, labels, test)
    tiny(name, 9 * len(labels), places=())
    reference = getattr(torchvision_datasets, kind)
    expected = {split: reference(root, **options) for split, options in SETS[name].splits.items()}
    for file in (root / kind / "raw").iterdir() if packed else ():
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    found = find(name)
    pictures = {split: [] for split in ("train", "test")}
    answers = {split: [] for split in ("train", "test")}
    for picture, label, split in zip(found.pictures, found.labels, found.splits or (), strict=True):
        pictures["test" if split == "test" else "train"].append(picture)
        answers["test" if split == "test" else "train"].append(label)
    for split, data in expected.items():
        turned = data.data.numpy().transpose(0, 2, 1) if name == "emnist-letters" else data.data.numpy()
        assert np.array_equal(np.stack(pictures[split]), turned)
        # torchvision spells the digits of MNIST out: "7 - seven"
        assert answers[split] == [data.classes[label].split(" - ")[0] for label in data.targets.tolist()]
    assert set(found.classes or found.labels) == {cls.split(" - ")[0] for cls in expected["train"].classes} - {"N/A"}
    assert Counter(split for split in found.splits or ()) == {
        "train": 4 * len(labels),
        "validation": 2 * len(labels),
        "test": 3 * len(labels),
    }


# --- Fashion-MNIST as Debian has it -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fashion() -> Found:
    if not is_here(SETS["fashion-mnist"], Path("nowhere")):
        missing("Debian's dataset-fashion-mnist")
    return find("fashion-mnist")


def test_fashion_mnist(fashion: Found):
    pictures = np.asarray(fashion.pictures)
    assert (pictures.shape, pictures.dtype) == ((70_000, 28, 28), np.uint8)
    counts = Counter(zip(fashion.splits or (), fashion.labels, strict=True))
    assert {(split, number) for (split, _), number in counts.items()} == {
        ("train", 5500),
        ("validation", 500),
        ("test", 1000),
    }
    often = np.bincount(pictures[np.array(fashion.splits) != "test"].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = np.average(values, weights=often)
    spread = np.average((values - mean) ** 2, weights=often) ** 0.5
    assert (mean, spread) == pytest.approx((0.2860, 0.3530), abs=1e-4)  # of the 60,000, as its users quote them
    assert fashion.classes is not None
    assert fashion.classes == tuple(torchvision_datasets.FashionMNIST.classes)


def test_fashion_mnist_is_the_same_for_everybody(fashion: Found):
    state = hashlib.sha256(np.ascontiguousarray(fashion.pictures))
    state.update(repr((list(fashion.labels), list(fashion.splits or ()))).encode())
    assert state.hexdigest()[:16] == "c57e2f9c81e2328b"


def test_fashion_mnist_is_the_one_that_torchvision_reads(fashion: Found, tmp_path: Path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in DEBIAN_FASHION.glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    own = np.array(fashion.splits) == "test"
    test = torchvision_datasets.FashionMNIST(tmp_path, train=False)
    assert np.array_equal(np.asarray(fashion.pictures)[own], test.data.numpy())
    labels = [label for label, mine in zip(fashion.labels, own, strict=True) if mine]
    assert labels == [test.classes[label] for label in test.targets.tolist()]


# --- what is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_without_files_and_network_one_line_says_what_to_put_where(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(SETS, name, replace(SETS[name], places=()))
    with pytest.raises(OpsinError, match=r"is not in .* \(no network here\); put .* there, as its makers") as caught:
        find(name)
    message = str(caught.value)
    assert "\n" not in message
    assert name in message
    assert str(root) in message
    assert all(file in message for file in SETS[name].files)
    assert not list(root.iterdir()), "nothing may be left behind"


def test_every_set_has_an_address_to_ask():
    for name, published in SETS.items():
        kind = getattr(torchvision_datasets, published.kind)
        assert (torchvision_sets._address(kind) or "").startswith("http"), name


def pack(folder: Path, archive: Path, inside: str) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in (folder / inside).rglob("*"):
                file.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz") as file:
            file.add(folder / inside, inside)


@pytest.fixture
def food(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny) -> Path:
    """A small food-101.tar.gz, as published."""
    food101(tmp_path / "made", monkeypatch)
    archive = tmp_path / "site" / "food-101.tar.gz"
    pack(tmp_path / "made", archive, "food-101")
    monkeypatch.setattr(torchvision_datasets.Food101, "_MD5", md5(archive))
    tiny("food101", 18)
    return archive


def test_published_files_are_unpacked_without_a_network(root: Path, food: Path, capsys: pytest.CaptureFixture[str]):
    (root / food.name).write_bytes(food.read_bytes())
    assert is_here(SETS["food101"], root)
    check_against_torchvision(find("food101"), "food101", root)
    assert capsys.readouterr().out == "", "stdout belongs to the commands"


def test_a_damaged_published_file(root: Path, food: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torchvision_datasets.Food101, "_URL", "http://127.0.0.1:9/food-101.tar.gz")
    (root / food.name).write_bytes(food.read_bytes()[:500])
    with pytest.raises(OpsinError, match=r"food101 cannot be read from .*; expected food-101\.tar\.gz there"):
        find("food101")
    assert (root / food.name).stat().st_size == 500, "what a person put there stays"


def test_files_that_are_missing_from_a_set_are_noticed(root: Path, tiny, monkeypatch: pytest.MonkeyPatch):
    eurosat(root, monkeypatch)
    tiny("eurosat", 9)
    with pytest.raises(OpsinError, match=r"holds 8 images, expected 9: files are missing; delete eurosat/2750 there"):
        find("eurosat")


def test_unpacking_that_was_interrupted_is_noticed(root: Path, tiny, monkeypatch: pytest.MonkeyPatch):
    food101(root, monkeypatch)
    tiny("food101", 18)
    (root / "food-101" / "images" / "waffles" / "test2.jpg").unlink()
    with pytest.raises(OpsinError, match=r"holds 17 images, expected 18: files are missing; delete food-101/meta and"):
        find("food101")


def test_files_of_an_old_torchvision_are_not_enough(root: Path, tiny, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torchvision_sets, "why_unreachable", lambda _: None)
    monkeypatch.setattr(torchvision_datasets.MNIST, "_check_legacy_exist", lambda _: True)
    monkeypatch.setattr(torchvision_datasets.MNIST, "_load_legacy_data", lambda _: (None, None))
    with pytest.raises(OpsinError, match=r"mnist in .* has no IDX files; put MNIST/raw/train-images-idx3-ubyte\.gz,"):
        find("mnist")


def test_a_set_that_is_damaged_inside(root: Path, tiny, monkeypatch: pytest.MonkeyPatch):
    cifar(root, monkeypatch, "cifar10")
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(b"hello")
    with pytest.raises(OpsinError, match=r"cifar10 cannot be read from .*Dataset not found or corrupted"):
        find("cifar10")


@pytest.fixture
def site(food: Path) -> Iterator[str]:
    """A server of the folder that food-101.tar.gz lies in."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(food.parent)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download(
    root: Path, food: Path, site: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.undo()
    monkeypatch.setenv("OPSIN_DATA", str(root / "deep" / "folder"))
    monkeypatch.setattr(torchvision_datasets.Food101, "_URL", f"{site}/{food.name}")
    monkeypatch.setattr(torchvision_datasets.Food101, "_MD5", md5(food))
    monkeypatch.setitem(SETS, "food101", replace(SETS["food101"], images=18, validation=2))
    before = socket.getdefaulttimeout()
    check_against_torchvision(find("food101"), "food101", root / "deep" / "folder")
    assert socket.getdefaulttimeout() == before
    said = capsys.readouterr()
    assert said.out == ""
    assert "downloading food101: 4,997 MB to" in said.err


def test_a_site_that_falls_silent_is_given_up(root: Path, food: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torchvision_sets, "why_unreachable", lambda _: None)
    monkeypatch.setattr(torchvision_sets, "SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(
            torchvision_datasets.Food101, "_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz"
        )
        with pytest.raises(
            OpsinError, match=r"food101 cannot be read from .*timed out.*; expected food-101\.tar\.gz there"
        ):
            find("food101")
