"""IDX files, in which the MNIST family is published."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from opsin.data.sources.found import Found
from opsin.errors import OpsinError, some

# train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, emnist-letters-test-images-idx3-ubyte
_NAME = re.compile(r"(?P<set>.*?)(?P<split>train|t10k|test)-(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?", re.I)
_SPLITS = {"train": "train", "t10k": "test", "test": "test"}
_PIECE = 2**26
_DIMENSIONS = {"images": 3, "labels": 1}
EXPECTED = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or .gz"

Files = dict[str, dict[str, Path]]


def is_idx(file: Path) -> bool:
    """Whether a file is named as the files of the MNIST family are."""
    return _NAME.fullmatch(file.name) is not None


def idx_files(folder: Path) -> dict[str, Files]:
    """The IDX files in a folder: by set (`` or such as `emnist-letters-`), split, and `images` or `labels`.

    Where a file is there both packed and unpacked, the unpacked one counts.
    """
    found: dict[str, Files] = {}
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        match = _NAME.fullmatch(file.name)
        if match and file.is_file():
            parts = found.setdefault(match["set"], {}).setdefault(_SPLITS[match["split"].lower()], {})
            parts.setdefault(match["what"].lower(), file)  # `x` sorts before `x.gz`
    return found


def find(place: str | Path, *, name: str | None = None, classes: Sequence[str] | None = None) -> Found:
    """The images of a folder of IDX files, or of the set that one such file belongs to.

    Args:
        place: the folder or the file.
        name: what to call the set; by default the folder's name.
        classes: the name of each label; by default the labels are names themselves.

    Raises:
        OpsinError: a file of a pair is missing, a header or a length is wrong, or the folder holds several sets.
    """
    place = Path(place)
    folder = place if place.is_dir() else place.parent
    sets = idx_files(folder)
    match = None if place.is_dir() else _NAME.fullmatch(place.name)
    if match:
        sets = {match["set"]: sets[match["set"]]}
    if not sets:
        raise OpsinError(f"{folder} holds no IDX files; expected {EXPECTED}")
    if len(sets) > 1:
        raise OpsinError(
            f"{folder} holds {len(sets)} sets of IDX files, {some(sorted(sets))}; give one of the files instead"
        )
    files = next(iter(sets.values()))
    pictures: list[np.ndarray] = []
    labels: list[str] = []
    splits: list[str] = []
    names: list[str] = []
    for split, pair in files.items():
        images, answers = _read_pair(folder, split, pair)
        pictures.append(images)
        labels += _named(pair["labels"], answers, classes)
        splits += [split] * len(images)
        names += [f"{split}/{index}" for index in range(len(images))]
    shapes = {part.shape[1:] for part in pictures}
    if len(shapes) > 1:
        raise OpsinError(f"{folder} holds images of {some([str(shape) for shape in shapes])}; expected one size")
    return Found(
        name=name or folder.name,
        pictures=np.concatenate(pictures),
        labels=labels,
        names=names,
        splits=splits if len(files) > 1 else None,
        classes=tuple(classes) if classes else None,
    )


def _read_pair(folder: Path, split: str, pair: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    for what in _DIMENSIONS:
        if what not in pair:
            raise OpsinError(f"{folder} has no file with the {what} for {split}; expected {EXPECTED}")
    images, labels = (read_idx(pair[what], _DIMENSIONS[what]) for what in ("images", "labels"))
    if len(images) != len(labels):
        raise OpsinError(
            f"{pair['images']} holds {len(images):,} images and {pair['labels'].name} {len(labels):,} labels; expected "
            "one label per image"
        )
    return images, labels


def _named(file: Path, labels: np.ndarray, classes: Sequence[str] | None) -> list[str]:
    if classes is None:
        return list(map(str, labels.tolist()))
    if len(labels) and labels.max() >= len(classes):
        raise OpsinError(f"{file} holds the label {labels.max()}; expected 0 to {len(classes) - 1}")
    return [str(classes[label]) for label in labels.tolist()]


def read_idx(file: Path, dimensions: int) -> np.ndarray:
    """The uint8 array of one IDX file, gzipped or not, read-only.

    The format (LeCun, Cortes, Burges: The MNIST database, "File formats"): two zero bytes, the type (8 is uint8), the
    number of dimensions, each dimension as a big-endian uint32, then the values.

    Raises:
        OpsinError: the header is another one, or the file holds fewer or more values than it says.
    """
    try:
        with gzip.GzipFile(file) if file.suffix.lower() == ".gz" else file.open("rb") as handle:
            header = handle.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, 8, dimensions)) or len(header) < 4 + 4 * dimensions:
                raise OpsinError(
                    f"{file} begins with {header[:4].hex() or 'nothing'}; expected 000008{dimensions:02x}, the "
                    f"mark of an IDX file of uint8 with {dimensions} dimension{'s' if dimensions > 1 else ''}"
                )
            shape = struct.unpack(f">{dimensions}I", header[4:])
            expected = math.prod(shape)
            values = _read(handle, expected + 1)  # never more than that, however far a .gz unpacks
    except (OSError, EOFError, zlib.error) as error:
        raise OpsinError(f"{file} cannot be read: {error}; it may be cut off, fetch it again") from error
    if len(values) != expected:
        amount = "more" if len(values) > expected else f"{len(values):,}"
        raise OpsinError(
            f"{file} holds {amount} values; its header says {' x '.join(map(str, shape))} = {expected:,}: it is "
            "damaged, fetch it again"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read(handle: BinaryIO | gzip.GzipFile, limit: int) -> bytes:
    """Up to `limit` bytes, in pieces: a damaged header may promise more than memory holds."""
    pieces = []
    while limit > 0 and (piece := handle.read(min(limit, _PIECE))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)
