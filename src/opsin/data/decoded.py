"""Pictures decoded once, at the size that a network gets: a memory map in the cache folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from opsin.data.cache import ABOUT, PIXELS, cache_folder, size_text
from opsin.data.decode import Decoded, UnreadableImage, decode, from_array
from opsin.data.preprocess import Preprocess
from opsin.data.samples import MODES
from opsin.data.scan import array_hash, content_hash, in_parallel
from opsin.errors import OpsinError
from opsin.files import write_json

CHUNK_IMAGES = 256
CHUNK_BYTES = 4 * 2**20
RESERVE = 64 * 2**20
"""What has to stay free on the disk beside the decoded images."""


def as_they_are(pictures: Sequence[Path] | np.ndarray, preprocess: Preprocess) -> np.ndarray | None:
    """The pictures themselves, uint8 `(n, h, w, c)`, read-only, where `preprocess` leaves them alone; else None."""
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8:
        return None
    pixels = pictures.reshape(*pictures.shape[:3], -1)
    height, width, channels = pixels.shape[1:]
    size = (preprocess.height, preprocess.width)
    whole = preprocess.geometry((height, width)) == (0, 0, height, width)
    if MODES[channels - 1] != preprocess.mode or (height, width) != size or not whole:
        return None
    pixels = pixels.view()
    pixels.flags.writeable = False
    return pixels


def decoded_pixels(
    pictures: Sequence[Path] | np.ndarray,
    hashes: Sequence[str],
    preprocess: Preprocess,
    *,
    name: str,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Every picture as the network sees it, before normalising: uint8 `(n, h, w, c)`, read-only.

    A memory map in the cache folder, filled on first use by several threads, and used again for the same pictures in
    the same order. One that was being filled when its process ended goes on where it stopped: a chunk counts only
    where its checksum says that it was written as a whole.

    Args:
        pictures: paths, or an array `(n, h, w)` or `(n, h, w, c)`.
        hashes: their content hashes; a picture that has another content by now is refused.
        preprocess: decides mode and size.
        name: what `opsin cache` calls them.
        progress: told how many pictures are done, and how many there are.
        say: told where and how much will be written, before it is.

    Raises:
        OpsinError: a picture has changed since it was scanned, or the cache folder cannot hold the pixels.
    """
    entry = _Entry.of(hashes, preprocess)
    pixels = entry.open()
    if pixels is not None:
        return pixels
    filler = _Filler(entry, pictures, hashes, preprocess)
    try:
        return filler.fill(name, progress, say)
    except OSError as error:
        raise OpsinError(_why(error, entry)) from error


@dataclass(frozen=True)
class _Entry:
    """Where the pixels of one list of pictures lie. While they are written they have another name."""

    folder: Path
    shape: tuple[int, int, int, int]

    @classmethod
    def of(cls, hashes: Sequence[str], preprocess: Preprocess) -> _Entry:
        key = hashlib.blake2b("\n".join([preprocess.pixel_key(), *hashes]).encode(), digest_size=16).hexdigest()
        shape = (len(hashes), preprocess.height, preprocess.width, preprocess.channels)
        return cls(cache_folder() / PIXELS / key, shape)

    @property
    def whole(self) -> Path:
        return self.folder / "pixels.u8"

    @property
    def part(self) -> Path:
        return self.folder / "pixels.part"

    @property
    def journal(self) -> Path:
        return self.folder / "chunks.jsonl"

    @property
    def row(self) -> int:
        """Bytes of one picture."""
        return self.shape[1] * self.shape[2] * self.shape[3]

    @property
    def bytes(self) -> int:
        return self.shape[0] * self.row

    def chunks(self) -> list[range]:
        """Positions of the pictures that are decoded and written together."""
        step = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // self.row))
        return [range(start, min(start + step, self.shape[0])) for start in range(0, self.shape[0], step)]

    def open(self) -> np.ndarray | None:
        """The finished pixels; None where there are none, or where the file was cut."""
        try:
            if self.whole.stat().st_size != self.bytes:
                return None
            pixels = self.map(self.whole)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(self.folder / ABOUT)  # `opsin cache` says when it was last used
        return pixels

    def map(self, path: Path) -> np.ndarray:
        return np.memmap(path, np.uint8, "r", shape=self.shape)


class _Filler:
    """Decodes what is missing into `pixels.part` and renames it when nothing is.

    Several processes may fill the same entry at once: equal hashes and an equal Preprocess mean equal pixels, so that
    they write the same bytes to the same places, and whoever is done first renames the file. No lock is left behind.
    """

    def __init__(
        self, entry: _Entry, pictures: Sequence[Path] | np.ndarray, hashes: Sequence[str], preprocess: Preprocess
    ) -> None:
        self._entry = entry
        self._pictures = pictures
        self._hashes = hashes
        self._preprocess = preprocess
        self._lock = threading.Lock()

    def fill(
        self, name: str, progress: Callable[[int, int], None] | None, say: Callable[[str], None] | None
    ) -> np.ndarray:
        """See `decoded_pixels`."""
        entry, total = self._entry, self._entry.shape[0]
        part = _reopen(entry.part)
        # what is checked is the very file that is written to: another process may replace the name at any time
        done = _verified(entry, part) if part is not None else set()
        missing = [at for at in range(len(entry.chunks())) if at not in done]
        count = sum(len(entry.chunks()[at]) for at in missing)
        _check_space(entry, count)
        if say is not None:
            say(f"decoding {count:,} images once: {size_text(count * entry.row)} in {entry.folder}")
        part = part or _create(entry, name)
        with part, entry.journal.open("ab", buffering=0) as journal:
            if part.seek(0, os.SEEK_END) != entry.bytes:
                part.truncate(entry.bytes)
            with contextlib.closing(in_parallel(lambda at: self._write(at, part, journal), missing)) as written:
                ready = total - count
                for at in written:
                    ready += len(entry.chunks()[at])
                    if progress is not None:
                        progress(ready, total)
            os.fsync(part.fileno())
        return _finish(entry)

    def _write(self, at: int, part: FileIO, journal: FileIO) -> int:
        positions = self._entry.chunks()[at]
        pixels = np.stack([self._preprocess.pixels(self._decode(i)) for i in positions])
        content = pixels.tobytes()
        left = memoryview(content)
        with self._lock:
            part.seek(positions.start * self._entry.row)
            while left:
                left = left[part.write(left) :]
            line = json.dumps({"chunk": at, "digest": content_hash(content)})
            journal.write(f"\n{line}\n".encode())  # the line before may have been torn by a kill
        return at

    def _decode(self, at: int) -> Decoded:
        picture, mode = self._pictures[at], self._preprocess.mode
        if isinstance(picture, np.ndarray):
            self._check(array_hash(picture) == self._hashes[at], f"image {at}")
            return from_array(picture, mode)
        try:
            data = picture.read_bytes()
            self._check(content_hash(data) == self._hashes[at], str(picture))
            return decode(data, mode)
        except (OSError, UnreadableImage) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise OpsinError(f"{picture} could be read when the images were loaded, and now: {reason}") from error

    @staticmethod
    def _check(same: bool, name: str) -> None:
        if not same:
            raise OpsinError(f"{name} has changed since the images were loaded; load them again")


def _reopen(path: Path) -> FileIO | None:
    try:
        return FileIO(path, "r+")
    except FileNotFoundError:
        return None


def _create(entry: _Entry, name: str) -> FileIO:
    entry.folder.mkdir(parents=True, exist_ok=True)
    write_json(entry.folder / ABOUT, {"name": name, "shape": entry.shape})
    # never with "w": another process may have begun in the meantime
    return FileIO(os.open(entry.part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+")


def _verified(entry: _Entry, part: FileIO) -> set[int]:
    """The chunks that lie in `part` exactly as they were written."""
    try:
        lines = entry.journal.read_bytes().splitlines()
    except FileNotFoundError:
        return set()
    chunks, done = entry.chunks(), set()
    for line in lines:
        try:
            noted = json.loads(line)
            positions, digest = chunks[noted["chunk"]], noted["digest"]
        except (ValueError, LookupError, TypeError):
            continue
        part.seek(positions.start * entry.row)
        if content_hash(part.read(len(positions) * entry.row)) == digest:
            done.add(noted["chunk"])
    return done


def _check_space(entry: _Entry, images: int) -> None:
    folder = next(place for place in (entry.folder, *entry.folder.parents) if place.exists())
    needed, free = images * entry.row, shutil.disk_usage(folder).free
    if needed + RESERVE > free:
        raise OpsinError(
            f"{images:,} decoded images need {size_text(needed)} in {cache_folder()}, which has {size_text(free)} "
            "free; make room (opsin cache --clear), choose a smaller size, or set OPSIN_CACHE to a folder elsewhere"
        )


def _finish(entry: _Entry) -> np.ndarray:
    place = entry.whole
    try:
        entry.part.replace(entry.whole)
        entry.journal.unlink(missing_ok=True)
    except FileNotFoundError:
        pass  # another process was done first
    except PermissionError:  # Windows: another process has one of the two open; both hold all pixels
        place = entry.whole if entry.whole.exists() else entry.part
    try:
        return entry.map(place)
    except FileNotFoundError:
        raise OpsinError(f"{entry.folder} was deleted while images were decoded into it; begin again") from None


def _why(error: OSError, entry: _Entry) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk was full before all decoded images ({size_text(entry.bytes)}) were in {cache_folder()}; "
            "make room (opsin cache --clear) and begin again, or set OPSIN_CACHE to a folder on another disk"
        )
    return (
        f"decoded images cannot be kept in {cache_folder()}: {error.strerror or error}; "
        "set OPSIN_CACHE to a folder that can be written to"
    )
