"""Images in `.npz` files of NumPy arrays."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from opsin.data.sources.classes import class_names, label_text
from opsin.data.sources.found import Found
from opsin.errors import OpsinError, first_line, some

SUFFIXES = (".npz",)
LAYOUTS: dict[str, dict[str | None, tuple[str, str]]] = {
    "images, labels": {None: ("images", "labels")},
    "x_train, y_train, x_test, y_test": {
        "train": ("x_train", "y_train"),
        "validation": ("x_val", "y_val"),
        "test": ("x_test", "y_test"),
    },
    "train_images, train_labels, test_images, test_labels": {  # MedMNIST
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
}
"""Names of the arrays of images and of labels by split; None: no splits."""


def find(place: str | Path) -> Found:
    """The images in one `.npz` file.

    The arrays are named `images, labels`; or `x_train, y_train, x_val, y_val, x_test, y_test`; or as MedMNIST has
    them, `train_images, train_labels, val_images` ...; validation or test may be missing. Images are uint8, uint16
    or bool, `(n, h, w)` or `(n, h, w, c)`. Labels are text or whole numbers, `(n,)` or `(n, 1)`; an array `classes`
    of text, if there is one, names the numbers. Nothing is ever unpickled.

    Raises:
        OpsinError: the file is damaged, holds pickled objects, lacks an array, or one has another type or shape.
    """
    file = Path(place)
    with contextlib.ExitStack() as stack:
        try:
            # opened here, because NumPy leaves a file open that it cannot read
            stored = np.load(stack.enter_context(file.open("rb")), allow_pickle=False)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise OpsinError(f"{file} cannot be read: {first_line(error)}; expected .npz with {_EXPECTED}") from error
        if not isinstance(stored, NpzFile):
            raise OpsinError(f"{file} is one array; expected .npz with {_EXPECTED}")
        return _found(file, stored)


_EXPECTED = "the arrays " + ", or ".join(LAYOUTS)


def _array(file: Path, stored: NpzFile, name: str) -> np.ndarray:
    try:
        return stored[name]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        if "allow_pickle" in str(error):
            raise OpsinError(
                f"{name} of {file} holds pickled objects, which are never loaded; save labels as text (dtype U) or "
                "whole numbers, and images as uint8"
            ) from error
        raise OpsinError(
            f"{name} of {file} cannot be read: {first_line(error)}; save it anew with numpy.savez"
        ) from error


def _found(file: Path, stored: NpzFile) -> Found:
    layout = _layout(file, list(stored))
    names = _class_list(file, stored)
    pictures: list[np.ndarray] = []
    labels: list[str] = []
    splits: list[str | None] = []
    called: list[str] = []
    for split, (images, answers) in layout.items():
        pictures.append(_pictures(f"{images} of {file}", _array(file, stored, images)))
        labels += _labels(f"{answers} of {file}", _array(file, stored, answers), len(pictures[-1]), names)
        splits += [split] * len(pictures[-1])
        called += [f"{split or 'images'}/{index}" for index in range(len(pictures[-1]))]
    kinds = {f"{part.shape[1:]} {part.dtype}" for part in pictures}
    if len(kinds) > 1:
        raise OpsinError(f"{file} has images of {some(sorted(kinds))}; expected one shape and type in all splits")
    clean = class_names([*names, *labels], str(file))
    used = {name for pair in layout.values() for name in pair} | {"classes"}
    unused = [name for name in stored if name not in used]
    return Found(
        name=file.stem,
        pictures=np.concatenate(pictures) if len(pictures) > 1 else pictures[0],
        labels=[clean[label] for label in labels],
        names=called,
        splits=splits if None not in layout else None,
        classes=tuple(clean[name] for name in names) if names else None,
        notes=(f"arrays that are not used: {some(unused)}",) if unused else (),
    )


def _layout(file: Path, keys: list[str]) -> dict[str | None, tuple[str, str]]:
    """The arrays that are there, by split."""
    for layout in LAYOUTS.values():
        there = {split: pair for split, pair in layout.items() if pair[0] in keys or pair[1] in keys}
        for pair in there.values():
            for name in pair:
                if name not in keys:
                    raise OpsinError(f"{file} has no array {name} but its partner; expected {', '.join(pair)}")
        if None in there or "train" in there or "test" in there:
            return there
    raise OpsinError(f"{file} holds the arrays {some(keys) or 'none'}; expected {_EXPECTED}")


def _pictures(what: str, array: np.ndarray) -> np.ndarray:
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype not in (np.uint8, np.uint16):
        scale = "round(255 * x) if they run from 0 to 1, then x" if array.dtype.kind == "f" else "x"
        raise OpsinError(
            f"{what} are {array.dtype}; expected uint8 from 0 to 255 (or uint16): save {scale}.astype('uint8')"
        )
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] > 4) or 0 in array.shape:
        raise OpsinError(f"{what} have the shape {array.shape}; expected (n, h, w) or (n, h, w, 1..4){_hint(array)}")
    return array


def _hint(array: np.ndarray) -> str:
    if array.ndim == 4 and 1 <= array.shape[1] <= 4:
        return ": the channels come first, save x.transpose(0, 2, 3, 1)"
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        return f": save x.reshape(-1, {side}, {side})" if side * side == array.shape[1] else ": reshape the rows"
    return ""


def _labels(what: str, array: np.ndarray, images: int, names: list[str]) -> list[str]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise OpsinError(f"{what} have the shape {array.shape}; expected one label per image, (n,) or (n, 1)")
    if len(array) != images:
        raise OpsinError(f"{what} are {len(array):,} for {images:,} images; expected one per image")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise OpsinError(f"{what} are {array.dtype} with fractions; expected text or whole numbers")
    if names and array.dtype.kind in "iuf":
        wrong = array[(array < 0) | (array >= len(names))]
        if len(wrong):
            raise OpsinError(f"{what} hold {wrong[0]}; expected 0 to {len(names) - 1}, as there are that many classes")
        return [names[int(label)] for label in array]
    labels = [label_text(label) for label in array]
    if names and not set(labels) <= set(names):
        raise OpsinError(f"{what} hold {some(sorted(set(labels) - set(names)))}; expected the names in classes")
    return labels


def _class_list(file: Path, stored: NpzFile) -> list[str]:
    if "classes" not in stored:
        return []
    names = _array(file, stored, "classes")
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise OpsinError(f"classes of {file} is {names.dtype} {names.shape}; expected one text per class")
    return [label_text(name) for name in names]
