"""The cache folder: what Opsin keeps from one use to the next. Everything in it can be made again."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from opsin.errors import OpsinError
from opsin.files import read_json

PIXELS = "pixels"
SCANS = "scans"
ABOUT = "about.json"
_OURS = {PIXELS: re.compile(r"[0-9a-f]{32}"), SCANS: re.compile(r"[0-9a-f]{32}\.parquet")}
_FILES = re.compile(r"pixels\.u8|pixels\.part|chunks\.jsonl|about\.json|\.about\.json\.[0-9a-f]{8}\.tmp")
_TORN = re.compile(r"\.[0-9a-f]{32}\.parquet\.[0-9a-f]{8}\.tmp")


@dataclass(frozen=True)
class Cached:
    """One thing in the cache.

    Attributes:
        kind: `pixels` (decoded images, a folder) or `scans` (what the images of one folder contain, a file).
        path: where it lies.
        name: what the images were called.
        images: how many it holds.
        bytes: what it takes up on the disk.
        used: when it was last used, in seconds since 1970.
        complete: False where decoding was interrupted; it goes on there the next time.
    """

    kind: str
    path: Path
    name: str
    images: int
    bytes: int
    used: float
    complete: bool = True


def cache_folder() -> Path:
    """The environment's `OPSIN_CACHE`, or the platform's cache folder of this user. It need not exist."""
    given = os.environ.get("OPSIN_CACHE")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("opsin", appauthor=False))


def list_caches() -> list[Cached]:
    """What is in the cache, the most recently used first."""
    found = [*map(_pixels, _own(PIXELS)), *map(_scan, _own(SCANS))]
    return sorted((one for one in found if one is not None), key=lambda one: -one.used)


def clear_cache() -> list[Cached]:
    """Delete everything that `list_caches` lists, and what a kill left half-written; nothing else in that folder.

    Returns:
        what was deleted.

    Raises:
        OpsinError: some of it cannot be deleted, for example because another program has it open.
    """
    listed = list_caches()
    try:
        for entry in _own(PIXELS):
            for path in sorted(entry.iterdir()):
                if _FILES.fullmatch(path.name):
                    path.unlink(missing_ok=True)
            _remove_if_empty(entry)
        for path in [*_own(SCANS), *_torn_scans()]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OpsinError(
            f"cannot delete {error.filename}: {error.strerror}; end the programs that use it, or delete it by hand"
        ) from error
    for kind in _OURS:
        _remove_if_empty(cache_folder() / kind)
    return listed


def size_text(count: float) -> str:
    """A number of bytes as a person reads it: `552 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _own(kind: str) -> Iterator[Path]:
    """The entries of one kind: by name, and never through a link, which may lead anywhere."""
    folder = cache_folder() / kind
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted(folder.iterdir()):
            if _OURS[kind].fullmatch(path.name) and not path.is_symlink() and path.is_dir() == (kind == PIXELS):
                yield path


def _torn_scans() -> Iterator[Path]:
    folder = cache_folder() / SCANS
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if _TORN.fullmatch(path.name))


def _pixels(folder: Path) -> Cached | None:
    try:
        size = sum(_on_disk(path) for path in folder.iterdir() if _FILES.fullmatch(path.name))
        used = (folder / ABOUT).stat().st_mtime
        complete = (folder / "pixels.u8").exists()
    except OSError:  # another program has just cleared it, or it was killed before it began
        return Cached(PIXELS, folder, "damaged", 0, 0, 0.0, False) if folder.is_dir() else None
    try:
        about = read_json(folder / ABOUT)
        return Cached(PIXELS, folder, str(about["name"]), int(about["shape"][0]), size, used, complete)
    except (OpsinError, LookupError, TypeError, ValueError):
        return Cached(PIXELS, folder, "damaged", 0, size, used, False)


def _scan(path: Path) -> Cached | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        state = path.stat()
    except FileNotFoundError:  # another program has just cleared it
        return None
    try:
        metadata = pq.read_metadata(path)
        name = (metadata.metadata or {}).get(b"root", b"").decode("utf-8", "backslashreplace")
        return Cached(SCANS, path, Path(name).name, metadata.num_rows, state.st_size, state.st_mtime)
    except (OSError, pa.ArrowException, ValueError):
        return Cached(SCANS, path, "damaged", 0, state.st_size, state.st_mtime, False)


def _on_disk(path: Path) -> int:
    # a file that is being filled has its full length from the start, but takes up only what was written
    state = path.stat()
    blocks = getattr(state, "st_blocks", None)
    return state.st_size if blocks is None else min(state.st_size, blocks * 512)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
