"""Published sets of labelled images: what each is, and which files it consists of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from opsin.data.sources.idx import idx_files

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""

UNSPLIT = ""
Arguments = Mapping[str, Any]
_TRAIN = {"train": {"train": True}, "test": {"train": False}}
_SPLIT = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@dataclass(frozen=True)
class Published:
    """A published set.

    Attributes:
        what: what its pictures show.
        images: how many it has; fewer means that files are missing.
        classes: how many classes.
        size: of its pictures, as text.
        megabytes: of its files as they are published.
        kind: its class in `torchvision.datasets`.
        splits: by split, the arguments with which `kind` opens it; the key UNSPLIT: it has no splits.
        files: its files as they are published, where torchvision looks for them below the data folder.
        unpacked: what torchvision reads.
        validation: images per class that are taken from its training images; 0: it has validation images of its own,
            or no splits.
        idx: for IDX files, which Opsin reads itself: what their names begin with; None for others.
        names: the class of each label of IDX files; empty: the label itself.
        transposed: the rows of its pictures are stored as columns.
        places: further folders in which its IDX files may lie.
        also: what can be installed instead of downloading it.
    """

    what: str
    images: int
    classes: int
    size: str
    megabytes: int
    kind: str
    splits: Mapping[str, Arguments]
    files: tuple[str, ...]
    unpacked: tuple[str, ...]
    validation: int = 0
    idx: str | None = None
    names: tuple[str, ...] = ()
    transposed: bool = False
    places: tuple[Path, ...] = ()
    also: str = ""


def _mnist(kind: str) -> tuple[str, ...]:
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(f"{kind}/raw/{part}-ubyte.gz" for part in parts)


SETS: dict[str, Published] = {
    "mnist": Published(
        "handwritten digits", 70_000, 10, "28 x 28 grey", 12, "MNIST", _TRAIN, _mnist("MNIST"), (), 500, ""
    ),
    "fashion-mnist": Published(
        "articles of clothing", 70_000, 10, "28 x 28 grey", 31, "FashionMNIST", _TRAIN, _mnist("FashionMNIST"), (), 500,
        "", _FASHION, places=(DEBIAN_FASHION,), also="Debian's package dataset-fashion-mnist",
    ),
    "kmnist": Published(
        "cursive Japanese letters", 70_000, 10, "28 x 28 grey", 21, "KMNIST", _TRAIN, _mnist("KMNIST"), (), 500,
        "", ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    "emnist-letters": Published(
        "handwritten letters", 145_600, 26, "28 x 28 grey", 562, "EMNIST",
        {split: {"split": "letters", **arguments} for split, arguments in _TRAIN.items()},
        ("EMNIST/raw/gzip.zip",), (), 500, "emnist-letters-", ("", *"abcdefghijklmnopqrstuvwxyz"), transposed=True,
    ),
    "cifar10": Published(
        "animals and vehicles", 60_000, 10, "32 x 32 colour", 170, "CIFAR10", _TRAIN,
        ("cifar-10-python.tar.gz",), ("cifar-10-batches-py",), 500,
    ),
    "cifar100": Published(
        "things, plants and animals", 60_000, 100, "32 x 32 colour", 169, "CIFAR100", _TRAIN,
        ("cifar-100-python.tar.gz",), ("cifar-100-python",), 50,
    ),
    "svhn": Published(
        "house numbers", 99_289, 10, "32 x 32 colour", 246, "SVHN", _SPLIT,
        ("train_32x32.mat", "test_32x32.mat"), ("train_32x32.mat", "test_32x32.mat"), 500,
    ),
    "stl10": Published(
        "animals and vehicles", 13_000, 10, "96 x 96 colour", 2_640, "STL10", _SPLIT,
        ("stl10_binary.tar.gz",), ("stl10_binary",), 50,
    ),
    "flowers102": Published(
        "flowers", 8_189, 102, "photographs", 345, "Flowers102", _THREE,
        ("flowers-102/102flowers.tgz", "flowers-102/imagelabels.mat", "flowers-102/setid.mat"),
        ("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat"),
    ),
    "pets": Published(
        "breeds of cats and dogs", 7_349, 37, "photographs", 811, "OxfordIIITPet",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        ("oxford-iiit-pet/images.tar.gz", "oxford-iiit-pet/annotations.tar.gz"),
        ("oxford-iiit-pet/images", "oxford-iiit-pet/annotations"), 10,
    ),
    "food101": Published(
        "dishes", 101_000, 101, "photographs", 4_997, "Food101", _SPLIT,
        ("food-101.tar.gz",), ("food-101/meta", "food-101/images"), 75,
    ),
    "dtd": Published(
        "textures", 5_640, 47, "photographs", 625, "DTD", _THREE, ("dtd/dtd-r1.0.1.tar.gz",), ("dtd/dtd",)
    ),
    "eurosat": Published(
        "land use from a satellite", 27_000, 10, "64 x 64 colour", 95, "EuroSAT", {UNSPLIT: {}},
        ("eurosat/EuroSAT.zip",), ("eurosat/2750",),
    ),
    "gtsrb": Published(
        "traffic signs", 39_270, 43, "photographs", 277, "GTSRB", _SPLIT,
        ("gtsrb/GTSRB-Training_fixed.zip", "gtsrb/GTSRB_Final_Test_Images.zip", "gtsrb/GTSRB_Final_Test_GT.zip"),
        ("gtsrb/GTSRB/Training", "gtsrb/GTSRB/Final_Test/Images", "gtsrb/GT-final_test.csv"), 30,
    ),
}  # fmt: skip


def data_folder() -> Path:
    """Where published sets are looked for and downloaded to: `OPSIN_DATA`, or the platform's folder for user data.

    It has the layout of torchvision's `root`, so an existing one can be named.
    """
    given = os.environ.get("OPSIN_DATA")
    return Path(given).expanduser().absolute() if given else platformdirs.user_data_path("opsin", appauthor=False)


def images_file(published: Published, root: Path) -> Path | None:
    """The IDX file of the training images, where all four files of the set lie; else None."""
    if published.idx is None:
        return None
    for folder in (root / published.kind / "raw", *published.places):
        files = idx_files(folder).get(published.idx, {})
        if all({"images", "labels"} <= files.get(split, {}).keys() for split in published.splits):
            return files["train"]["images"]
    return None


def is_unpacked(published: Published, root: Path) -> bool:
    """Whether what torchvision reads is there."""
    return bool(published.unpacked) and all((root / path).exists() for path in published.unpacked)


def is_published(published: Published, root: Path) -> bool:
    """Whether the files are there as their makers publish them."""
    return all((root / path).is_file() for path in published.files)


def is_here(published: Published, root: Path) -> bool:
    """Whether the set can be opened without the network."""
    return images_file(published, root) is not None or is_unpacked(published, root) or is_published(published, root)
