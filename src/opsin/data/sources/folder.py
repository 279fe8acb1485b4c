"""Image folders: `class/x.jpg`, or `train|val|test/class/x.jpg`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from opsin.data.images import find_images, natural_key
from opsin.data.sources.classes import class_names, file_text
from opsin.data.sources.found import Found
from opsin.errors import OpsinError, some
from opsin.records import Unreadable

SPLIT_WORDS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_NOT_OURS = ("__MACOSX",)  # what unpacking a zip made by macOS leaves behind


def find(place: str | Path) -> Found:
    """The images of a folder; the folder that an image lies in names its class.

    The first level is the classes, or the splits train, val, valid, validation and test (in capitals or not) with the
    classes below. Deeper folders belong to their class. Hidden files are passed over silently, files that are no
    images with a note. So are images beside the class folders: to guess their class would be wrong, and a stray
    picture must not forbid training, but it has to be said.

    Raises:
        OpsinError: no images, fewer than two class folders, a class folder without images, splits that do not have
            the same classes, or class names that differ only in case, blanks or the way Unicode writes them.
    """
    root = Path(place)
    tops = _folders(root)
    splits = _splits(root, tops)
    depth = 2 if splits else 1  # of the class in a path below root
    images = [path for path in find_images(root) if path.relative_to(root).parts[0] not in _NOT_OURS]
    parts = [path.relative_to(root).parts for path in images]
    loose = ["/".join(map(file_text, part)) for part in parts if len(part) <= depth]
    inside = [(path, part) for path, part in zip(images, parts, strict=True) if len(part) > depth]
    others, closed = _others(root, set(images))

    folders = [folder for top in tops for folder in _folders(top)] if splits else tops
    if not folders or len({folder.name for folder in folders}) < 2:
        raise OpsinError(_too_few(root, folders, loose, others, splits))
    _check_filled(root, folders, {part[:depth] for _, part in inside}, closed)
    names = class_names((file_text(folder.name) for folder in folders), str(root))
    _check_same_classes(root, splits, folders)
    return Found(
        name=root.name,
        pictures=[path for path, _ in inside],
        labels=[names[file_text(part[depth - 1])] for _, part in inside],
        names=["/".join(map(file_text, part)) for _, part in inside],
        # one split folder alone says nothing of the others
        splits=[splits[part[0]] for _, part in inside] if len(set(splits.values())) > 1 else None,
        unreadable=tuple(Unreadable(name, reason) for name, reason in closed.items()),
        notes=tuple(_notes(tops, splits, loose, others)),
    )


def _folders(place: Path) -> list[Path]:
    """The visible folders directly in `place`, in natural order."""
    try:
        entries = [entry for entry in place.iterdir() if entry.is_dir()]
    except OSError as error:
        raise OpsinError(f"the folder {place} cannot be read: {error.strerror or error}") from error
    visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _NOT_OURS]
    return sorted(visible, key=lambda entry: natural_key(entry.name))


def _splits(root: Path, tops: Sequence[Path]) -> dict[str, str]:
    """The split of each top folder by its name; empty where the top folders are classes.

    A single folder with such a name beside others is a class: a train is something that one takes pictures of.
    """
    splits = {top.name: SPLIT_WORDS[top.name.casefold()] for top in tops if top.name.casefold() in SPLIT_WORDS}
    if len(splits) < len(tops):
        if len(splits) < 2:
            return {}
        others = [top.name for top in tops if top.name not in splits]
        raise OpsinError(
            f"{root} holds the split folders {some(list(splits))} beside {some(others)}; expected split folders only "
            "(train, val, test), or class folders only: move the others away"
        )
    for name, split in splits.items():
        twins = [other for other in splits if splits[other] == split]
        if len(twins) > 1:
            raise OpsinError(f"{root} holds {some(twins)}, which all mean {split}; expected one of them ({name})")
    return splits


def _others(root: Path, images: set[Path]) -> tuple[list[str], dict[str, str]]:
    """Below `root`: visible files that are no images, and the folders that cannot be read, with the reason."""
    others: list[str] = []
    closed: dict[str, str] = {}
    seen: set[str] = set()

    def refused(error: OSError) -> None:
        closed[_below(root, Path(error.filename))] = f"the folder cannot be read: {error.strerror or error}"

    for place, folders, files in os.walk(root, followlinks=True, onerror=refused):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_OURS]
        paths = [Path(place, name) for name in files if not name.startswith(".")]
        others += [_below(root, path) for path in paths if path not in images]
    return sorted(others, key=natural_key), closed


def _below(root: Path, path: Path) -> str:
    return file_text(path.relative_to(root).as_posix())


def _too_few(
    root: Path, folders: Sequence[Path], loose: Sequence[str], others: Sequence[str], splits: Mapping[str, str]
) -> str:
    layout = f"{root.name}/{'train|val|test/' if splits else ''}class/x.jpg"
    if len(folders):
        inner = _folders(folders[0])
        hint = f" (give {folders[0]} if its folders are the classes)" if len(inner) > 1 else ""
        return f"{root} has one class folder, {folders[0].name}; expected two or more, as {layout}{hint}"
    if not loose:
        return f"{root} holds no images; expected {layout}, or train|val|test/class/x.jpg"
    table = next((f", such as {name}" for name in others if name.lower().endswith((".csv", ".parquet"))), "")
    return (
        f"{root} holds {len(loose):,} images but no class folders; expected {layout}, or give a table with the columns "
        f"path and label{table}"
    )


def _check_filled(root: Path, folders: Sequence[Path], filled: set[tuple[str, ...]], closed: Mapping[str, str]) -> None:
    empty = [_below(root, folder) for folder in folders if folder.relative_to(root).parts not in filled]
    for name in empty:
        if name in closed:
            raise OpsinError(f"the class folder {root / name}: {closed[name]}; allow reading it, or move it away")
    if empty:
        what = "class folder holds" if len(empty) == 1 else "class folders hold"
        raise OpsinError(
            f"{root}: {len(empty)} {what} no images: {some(empty)}; expected files such as .jpg or .png in each: fill "
            "or remove"
        )


def _check_same_classes(root: Path, splits: Mapping[str, str], folders: Sequence[Path]) -> None:
    every = {folder.name for folder in folders}
    for split in splits:
        lacking = sorted(every - {folder.name for folder in folders if folder.parent.name == split}, key=natural_key)
        if lacking:
            raise OpsinError(
                f"the split folders of {root} differ: {split} lacks the class {some(lacking)}; expected the same class "
                "folders in every split"
            )


def _notes(
    tops: Sequence[Path], splits: Mapping[str, str], loose: Sequence[str], others: Sequence[str]
) -> Iterator[str]:
    if others:
        yield f"files that are no images were passed over ({len(others):,}): {some(others, 3)}"
    if loose:
        yield f"images that lie in no class folder were passed over ({len(loose):,}): {some(loose, 3)}"
    if len(splits) == 1:
        yield f"there is only the split folder {tops[0].name}: all splits are taken from its images"
    yield from (
        f"the folder {top.name} is taken as a class, because folders with other names lie beside it"
        for top in tops
        if not splits and top.name.casefold() in SPLIT_WORDS
    )
