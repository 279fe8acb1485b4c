"""Pictures as people pass them (paths, folders, PIL images, arrays; one or many) become one batch of pixels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from opsin.data.decode import Decoded, UnreadableImage, decode, from_array, from_pil
from opsin.data.formats import sniff
from opsin.data.preprocess import Box, Preprocess
from opsin.errors import OpsinError
from opsin.records import Unreadable

SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".ppm", ".pgm",
    ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".avif", ".heic", ".heif", ".hif", ".dcm", ".dicom", ".ico", ".qoi",
    ".pcx",
})  # fmt: skip
EXPECTED = "paths, a folder, PIL images or uint8 arrays (n, height, width, channels)"
_THREADS = 8
Source = str | Path | bytes | Image.Image | np.ndarray


class Opened(NamedTuple):
    """One picture as the network sees it.

    Attributes:
        name: its path, or `image 0` ... where it has none.
        pixels: uint8 `(height, width, c)`, the input before normalising.
        size: height and width of the upright original.
        geometry: top, left, bottom, right of the input in that original's pixels.
        original: that picture, shrunk to the size that was asked for, or None.
    """

    name: str
    pixels: np.ndarray
    size: tuple[int, int]
    geometry: Box
    original: Image.Image | None = None


def open_each(
    items: Sequence[Source], preprocess: Preprocess, *, first: int = 0
) -> tuple[np.ndarray, tuple[str, ...], tuple[Unreadable, ...]]:
    """Every picture that `each_image` found as the network sees it, in order.

    Returns:
        uint8 `(n, height, width, c)`; n names, the path or `image 0` ... (`first` is the number of the first of them);
        the files that could not be decoded.
    """
    opened = decode_each(items, preprocess, first=first)
    read = [item for item in opened if isinstance(item, Opened)]
    return (
        stacked(read, preprocess),
        tuple(item.name for item in read),
        tuple(item for item in opened if isinstance(item, Unreadable)),
    )


def decode_each(
    items: Sequence[Source], preprocess: Preprocess, *, first: int = 0, keep: int = 0
) -> list[Opened | Unreadable]:
    """Every picture that `each_image` found, opened, in order, several at a time.

    Args:
        items: the pictures.
        preprocess: how each becomes the network's input.
        first: the number of the first of them, for those without a name.
        keep: the longer side in pixels of the upright original that is kept beside the input; 0: none is.
    """
    named = [(_name(item, position), item) for position, item in enumerate(items, first)]
    if len(items) <= 2:
        return [_open(name, item, preprocess, keep) for name, item in named]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1, len(items))) as pool:
        return list(pool.map(lambda pair: _open(pair[0], pair[1], preprocess, keep), named))


def stacked(opened: Sequence[Opened], preprocess: Preprocess) -> np.ndarray:
    """uint8 `(n, height, width, c)` of n opened pictures, also of none."""
    shape = (0, preprocess.height, preprocess.width, preprocess.channels)
    return np.stack([item.pixels for item in opened]) if opened else np.zeros(shape, np.uint8)


def each_image(images: Any) -> list[Source]:
    """The pictures in `images`, one by one and not yet opened.

    Paths, folders (searched recursively, natural order), the bytes of a file, PIL images and uint8 arrays `(h, w)`,
    `(h, w, c)`, `(n, h, w)` or `(n, h, w, c)`, one or many, mixed as you like. Three axes of which the last has 1 to
    4 entries are one picture `(h, w, c)`.

    Raises:
        OpsinError: a path does not exist, a folder has no images, or something else than a picture was given.
    """
    if isinstance(images, str | Path):
        return _files(Path(images))
    if isinstance(images, bytes | Image.Image):
        return [images]
    if isinstance(images, np.ndarray):
        return _pictures(images)
    if hasattr(images, "detach"):
        raise OpsinError(f"a tensor was given; expected {EXPECTED}, or a float tensor given to a Classifier")
    if not isinstance(images, Iterable) or isinstance(images, dict):
        raise OpsinError(f"{type(images).__name__} was given as images; expected {EXPECTED}")
    return [item for entry in images for item in each_image(_entry(entry))]


def find_images(folder: str | Path) -> list[Path]:
    """The images in `folder` and below, in natural order, as `folder / ...`.

    A file counts by its suffix, or by its first bytes where the suffix is another. Hidden files are passed over.
    Linked folders are followed, each real folder once.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".") and _is_image(Path(place, name))]
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def natural_key(text: str) -> tuple[list[list[tuple[int, str]]], str]:
    """A sort key of names and `/`-separated paths: "2" before "10", capitals and small letters together."""
    parts = [re.split(r"([0-9]+)", part) for part in text.split("/")]
    # every second piece is a number; names that differ only in case or in leading zeros keep a fixed order by `text`
    keys = [[(int(piece), "") if at % 2 else (-1, piece.casefold()) for at, piece in enumerate(part)] for part in parts]
    return keys, text


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return sniff(file.read(132)) is not None
    except OSError:
        return False


def _entry(entry: Any) -> Any:
    if isinstance(entry, str | Path | bytes | Image.Image | np.ndarray) or hasattr(entry, "detach"):
        return entry
    raise OpsinError(f"{type(entry).__name__} was given as an image; expected {EXPECTED}")


def _files(path: Path) -> list[Source]:
    if path.is_dir():
        found = find_images(path)
        if not found:
            raise OpsinError(
                f"the folder {path} holds no images; expected files such as .jpg, .png or .tif in it or below it"
            )
        return list(found)
    if not path.exists():
        raise OpsinError(f"there is no file or folder {path}; expected the path of an image, or of a folder of images")
    return [path]


def _pictures(array: np.ndarray) -> list[Source]:
    if array.dtype.kind == "f":
        raise OpsinError(
            f"a float array of shape {array.shape} was given; expected uint8 values 0..255, or, where the pictures are "
            "preprocessed already, a float tensor (n, channels, height, width)"
        )
    many = array.ndim == 4 or (array.ndim == 3 and array.shape[2] > 4)
    if not many and array.ndim not in (2, 3):
        raise OpsinError(
            f"an array of shape {array.shape} was given; expected (h, w), (h, w, c), (n, h, w) or (n, h, w, c)"
        )
    return list(array) if many else [array]


def _name(item: Source, position: int) -> str:
    name = item if isinstance(item, str | Path) else getattr(item, "filename", "")
    return str(name) if isinstance(name, str | Path) and str(name) else f"image {position}"


def _open(name: str, item: Source, preprocess: Preprocess, keep: int) -> Opened | Unreadable:
    try:
        decoded = _decoded(item, preprocess.mode)
        original = shrunk(decoded.picture, keep) if keep else None
        return Opened(name, preprocess.pixels(decoded), decoded.size, preprocess.geometry(decoded.size), original)
    except UnreadableImage as error:
        return Unreadable(name, error.reason)


def shrunk(picture: Image.Image, longest: int) -> Image.Image:
    """A picture whose longer side has at most so many pixels."""
    share = longest / max(picture.size)
    if share >= 1:
        return picture
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _decoded(item: Source, mode: str) -> Decoded:
    if isinstance(item, np.ndarray):
        return from_array(item, mode)
    return from_pil(item, mode) if isinstance(item, Image.Image) else decode(item, mode)
