"""Published sets by way of torchvision: read where they lie, unpacked, or downloaded where the network allows it."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from opsin.data.network import why_unreachable
from opsin.data.sources import idx
from opsin.data.sources.fixed import fixed_splits
from opsin.data.sources.found import Found
from opsin.data.sources.published import SETS, UNSPLIT, Published, data_folder, images_file, is_published, is_unpacked
from opsin.errors import OpsinError, first_line

SILENCE = 30.0  # seconds without a byte until a download is given up


def find(name: str) -> Found:
    """The images of a published set; `opsin.data.sources.published.SETS` names them.

    Its own test images are used. Where it has no validation images of its own, they are taken from its training images:
    a fixed number per class, the same for every seed.

    Raises:
        OpsinError: the files are not there and cannot be downloaded (says which to put where), or they are damaged or
            incomplete.
    """
    published, root = SETS[name], data_folder()
    found = _read_idx(name, published, root) if published.idx is not None else _read(name, published, root)
    # unpacking that was interrupted leaves folders that look whole
    count = len(found) if isinstance(found.pictures, np.ndarray) else sum(path.is_file() for path in found.pictures)
    if count < published.images:
        raise OpsinError(
            f"{name} in {root} holds {count:,} images, expected {published.images:,}: files are missing; delete "
            f"{_listed(published.unpacked or published.files)} there and run the command again"
        )
    return found


def _read_idx(name: str, published: Published, root: Path) -> Found:
    file = images_file(published, root)
    if file is None:
        _open(name, published, root)
        file = images_file(published, root)
    if file is None:  # torchvision was content with files of a form that it no longer writes
        raise OpsinError(f"{name} in {root} has no IDX files; put {_listed(published.files)} there")
    found = idx.find(file, name=name, classes=published.names or None)
    pictures = np.asarray(found.pictures)
    assert found.splits is not None
    return replace(
        found,
        pictures=pictures.transpose(0, 2, 1) if published.transposed else pictures,
        splits=_with_validation(found.splits, [picture.tobytes() for picture in pictures], found.labels, published),
        classes=tuple(filter(None, published.names)) or None,
    )


def _read(name: str, published: Published, root: Path) -> Found:
    parts = _open(name, published, root)
    classes = getattr(next(iter(parts.values())), "classes", None)
    labels = [label for part in parts.values() for label in _labels(part)]
    splits = [split for split, part in parts.items() for _ in _labels(part)]
    found = Found(
        name=name,
        pictures=_pictures(list(parts.values())),
        labels=[str(classes[label]) if classes else str(label) for label in labels],
        names=[f"{split}/{index}" for split, part in parts.items() for index in range(len(_labels(part)))],
        splits=None if UNSPLIT in parts else splits,
        classes=tuple(map(str, classes)) if classes else None,
    )
    if isinstance(found.pictures, np.ndarray):
        keys = [picture.tobytes() for picture in found.pictures]
    else:
        names = [path.relative_to(root).as_posix() for path in found.pictures]
        groups = [_track(path) for path in found.pictures] if published.kind == "GTSRB" else None
        found = replace(found, names=names, groups=groups)
        # sets of files are large: the name, which is part of what was published, stands for the content
        keys = [(group or name).encode() for group, name in zip(groups or names, names, strict=True)]
    if found.splits is None:
        return found
    return replace(found, splits=_with_validation(found.splits, keys, found.labels, published))


def _open(name: str, published: Published, root: Path) -> dict[str, Any]:
    """The set's splits as torchvision opens them; it unpacks or downloads what is only published, or not there."""
    import torchvision.datasets

    kind = getattr(torchvision.datasets, published.kind)
    unpacked = is_unpacked(published, root)
    if not unpacked and not is_published(published, root):
        _require_network(name, published, root, kind)
    try:
        with _patient():
            return {
                split: kind(root, download=not unpacked, **arguments) for split, arguments in published.splits.items()
            }
    except Exception as error:  # it reads foreign archives, tables and pickles, each with errors of its own
        raise OpsinError(
            f"{name} cannot be read from {root} ({type(error).__name__}: {first_line(error)[:200]}); expected "
            f"{_listed(published.files)} there, as its makers publish it: delete what is damaged and try again"
        ) from error


def _require_network(name: str, published: Published, root: Path, kind: type) -> None:
    address = _address(kind)
    reason = why_unreachable(address) if address else None
    if reason is None:
        print(f"downloading {name}: {published.megabytes:,} MB to {root}", file=sys.stderr)  # noqa: T201
        return
    also = f", or install {published.also}" if published.also else ""
    raise OpsinError(
        f"{name} is not in {root} and cannot be downloaded ({reason}); put {_listed(published.files)} there, as its "
        f"makers publish it, or let OPSIN_DATA name the folder that has it{also}, or connect to the network"
    )


def _listed(files: Sequence[str]) -> str:
    return " and ".join([", ".join(files[:-1]), files[-1]] if len(files) > 1 else files)


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Let torchvision's downloads, which know no time limit, fail after a silence; its chatter goes to stderr."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _address(value: Any) -> str | None:
    """The first address that a class of torchvision has in an attribute or a method: each keeps it elsewhere."""
    if isinstance(value, str):
        return value if value.startswith(("http://", "https://")) else None
    if isinstance(value, type):
        inner: Any = [item for owner in value.__mro__ if owner is not object for item in vars(owner).values()]
    elif isinstance(value, FunctionType):
        inner = value.__code__.co_consts
    elif isinstance(value, dict):
        inner = value.values()
    else:
        inner = value if isinstance(value, list | tuple) else ()
    return next((found for item in inner if (found := _address(item))), None)


def _with_validation(
    splits: Sequence[str | None], keys: Sequence[bytes], labels: Sequence[str], published: Published
) -> Sequence[str | None]:
    if not published.validation:
        return splits
    train = [index for index, split in enumerate(splits) if split == "train"]
    chosen = fixed_splits(
        [keys[index] for index in train], [labels[index] for index in train], validation=published.validation
    )
    result = list(splits)
    for index, split in zip(train, chosen, strict=True):
        result[index] = split
    return result


def _pictures(parts: Sequence[Any]) -> np.ndarray | list[Path]:
    """An array `(n, h, w, 3)`, or the files."""
    if not hasattr(parts[0], "data"):
        return [Path(path) for part in parts for path in _first(part, "_image_files", "_images") or _samples(part)[0]]
    pictures = np.concatenate([part.data for part in parts])
    return pictures if pictures.shape[3] == 3 else np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


def _labels(part: Any) -> list[int]:
    labels = _first(part, "targets", "labels", "_labels")
    return [int(label) for label in (_samples(part)[1] if labels is None else labels)]


def _samples(part: Any) -> tuple[list[str], list[int]]:
    paths, labels = zip(*_first(part, "samples", "_samples"), strict=True)
    return list(paths), list(labels)


def _first(part: Any, *names: str) -> Any:
    """What torchvision's class keeps under one of these names; None where it has none of them."""
    return next((getattr(part, name) for name in names if getattr(part, name, None) is not None), None)


def _track(file: Path) -> str:
    """The sign that a picture of GTSRB shows: its training images are the frames of drives past 1,300 of them."""
    track, _, frame = file.stem.partition("_")
    return f"{file.parent.name}/{track}" if frame else ""
