"""Opening images by a path or a name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from opsin.data.dataset import Dataset
from opsin.data.sources import arrays, folder, idx, manifest
from opsin.data.sources.found import Found
from opsin.data.sources.index import INDEX
from opsin.errors import OpsinError, did_you_mean

EXPECTED = (
    "a folder of images (class/x.jpg or train|val|test/class/x.jpg), a .csv or .parquet table with the columns path "
    "and label, an .npz file, IDX files, or a name of opsin datasets"
)
_PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")


def load_data(
    source: str | Path,
    *,
    seed: int = 0,
    allow_unreadable: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Dataset:
    """Open labelled images.

    Args:
        source: one of

            - a folder `class/x.jpg`, or `train|val|test/class/x.jpg` (`opsin.data.sources.folder`);
            - a CSV or Parquet table with the columns `path` and `label`, and perhaps `split` and `group`
              (`opsin.data.sources.manifest`);
            - an `.npz` file of arrays (`opsin.data.sources.arrays`);
            - IDX files, as MNIST is published: their folder or one of them (`opsin.data.sources.idx`);
            - a name of `opsin datasets`, such as `mnist5k`. What exists as a path is taken as a path.

            `~` is the home folder.
        seed: decides the splits where the source does not: 0, 1, 2 ...
        allow_unreadable: go on although many pictures cannot be read.
        progress: told what is done, how many pictures are done, and how many there are.

    Returns:
        The images with labels, classes, splits and fingerprint. Pictures that cannot be read are left out and listed.

    Raises:
        OpsinError: there is no such source, it is damaged or contradicts itself, it has fewer than two classes, or
            more than 1 % and more than five of its pictures cannot be read.
    """
    stored, found = _find(source)
    return Dataset.scan(
        found,
        source={"source": stored, "seed": seed, "allow_unreadable": allow_unreadable},
        seed=seed,
        allow_unreadable=allow_unreadable,
        progress=progress,
    )


def _find(source: str | Path) -> tuple[str, Found]:
    """What stands in a run to open the same images again, and the images."""
    if not isinstance(source, str | Path):
        raise OpsinError(
            f"{type(source).__name__} was given as data; expected {EXPECTED}; arrays go to Dataset.from_arrays"
        )
    name = str(source)
    if not name.strip():
        raise OpsinError(f"nothing was given as data; expected {EXPECTED}")
    path = Path(os.path.expanduser(name))  # noqa: PTH111  (leaves an unknown ~user as it is)
    if os.path.exists(path):  # noqa: PTH110  (False also for what can be no path)
        # Absolute, so that a run opens its images again from any working folder. Links stay: where a link leads may
        # change, what the user named does not. Images that were moved are given to the command again.
        path = Path(os.path.abspath(path))  # noqa: PTH100
        found = _at(path)
        if name in INDEX:
            note = f"{name} is also the name of a set of opsin datasets; {path} was taken, because it exists"
            found = replace(found, notes=(*found.notes, note))
        return path.as_posix(), found
    if name in INDEX:
        return name, INDEX[name].find()
    raise OpsinError(
        f"there is no file, folder or set {name}{did_you_mean(name, list(INDEX))}; expected {EXPECTED}: "
        f"{', '.join(INDEX)}"
    )


def _at(path: Path) -> Found:
    if path.is_dir():
        if (path / "run.json").is_file():
            raise OpsinError(f"{path} is the folder of a run, not of images; expected {EXPECTED}")
        return idx.find(path) if idx.idx_files(path) else folder.find(path)
    suffix = path.suffix.lower()
    if suffix in manifest.SUFFIXES:
        return manifest.find(path)
    if suffix in arrays.SUFFIXES:
        return arrays.find(path)
    if idx.is_idx(path):
        return idx.find(path)
    if suffix in _PACKED:
        raise OpsinError(f"{path} is packed; unpack it first and give the folder")
    raise OpsinError(f"{path} is one {suffix or 'file'}; expected {EXPECTED}")
