"""One pass over all pictures: what each contains, and whether it can be read. Remembered from one load to the next."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from opsin.data.cache import SCANS, cache_folder
from opsin.data.decode import MAX_BYTES, UnreadableImage, decode, probe_image
from opsin.data.duplicates import EDGE, thumbnail
from opsin.errors import OpsinError
from opsin.files import replacing

SCAN_VERSION = 1
"""Raised whenever a scan finds out something else, so that what was remembered is not used."""

_BATCH = 32
_SETTLED = 2.0  # seconds: a file that was changed later may change again without getting another time stamp
_State = tuple[int, int, int]  # size, time of modification, time of change
Progress = Callable[[str, int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


class Look(NamedTuple):
    """What one picture contains; `reason` says why it cannot be read, and the rest is then empty."""

    hash: str = ""
    height: int = 0
    width: int = 0
    colour: bool = False
    thumbnail: bytes = b""
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Scan:
    """What the pictures of a source contain.

    Attributes:
        readable: int64 `(m,)` positions of those that can be read; the other fields have one entry for each of them.
        hashes: content hashes: of a file's bytes, never of decoded pixels, so that another decoder changes no split.
        sizes: int64 `(m, 2)` height and width, upright.
        colour: bool `(m,)`; grey that is stored as RGB counts as colour, as in `ImageInfo`.
        thumbnails: uint8 `(m, EDGE, EDGE)`; None for arrays, whose thumbnails are quick to make when they are needed.
        reasons: why the others cannot be read, by position.
    """

    readable: np.ndarray
    hashes: tuple[str, ...]
    sizes: np.ndarray
    colour: np.ndarray
    thumbnails: np.ndarray | None
    reasons: Mapping[int, str]


def scan(pictures: Sequence[Path] | np.ndarray, progress: Progress | None = None) -> Scan:
    """Read every picture once, several at a time.

    Args:
        pictures: paths, or an array `(n, h, w)` or `(n, h, w, c)` of uint8 or uint16, c = 1 to 4.
        progress: told what is done, how many are done, and how many there are.

    Raises:
        OpsinError: an array of another shape or type.
    """
    if isinstance(pictures, np.ndarray):
        return _scan_array(pictures)
    return _scan_files([Path(os.path.abspath(path)) for path in pictures], progress)  # noqa: PTH100  (no link is followed)


def content_hash(content: bytes) -> str:
    """32 hexadecimal digits of a file's bytes (BLAKE2b, 128 bits)."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def array_hash(picture: np.ndarray) -> str:
    """32 hexadecimal digits of a picture's type, shape and values, the same on every machine.

    uint8 or uint16 `(h, w)` or `(h, w, c)`; `(h, w)` and `(h, w, 1)` are one picture.
    """
    shape = (*picture.shape, 1)[:3]
    content = np.ascontiguousarray(picture, picture.dtype.newbyteorder("<")).tobytes()
    return content_hash(f"{picture.dtype.name} {shape} ".encode() + content)


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]:
    """`function(item)` for each, in order, computed ahead by threads (decoders release the lock of the interpreter).

    Close it (`contextlib.closing`) to stop early: what has not begun is then not begun.
    """
    with ThreadPoolExecutor(min(32, os.cpu_count() or 1, max(1, len(items)))) as pool:
        yield from pool.map(function, items)


def check_array(pictures: np.ndarray) -> None:
    """Refuse an array that does not hold pictures.

    Raises:
        OpsinError: it is not uint8 or uint16 `(n, h, w)` or `(n, h, w, c)`, c = 1 to 4.
    """
    kind = pictures.dtype
    if kind.kind != "u" or kind.itemsize > 2 or pictures.ndim not in (3, 4) or 0 in pictures.shape[1:]:
        raise OpsinError(
            f"images of shape {pictures.shape} and type {kind} were given; expected uint8 (or uint16) "
            "(n, height, width) or (n, height, width, channels)"
        )
    if pictures.ndim == 4 and pictures.shape[3] > 4:
        hint = "; move the channels last" if pictures.shape[1] <= 4 else ""
        raise OpsinError(f"images of shape {pictures.shape} were given; expected 1 to 4 channels, last{hint}")


def _scan_array(pictures: np.ndarray) -> Scan:
    check_array(pictures)
    count, height, width = pictures.shape[:3]
    return Scan(
        readable=np.arange(count),
        hashes=tuple(map(array_hash, pictures)),
        sizes=np.tile(np.array([height, width]), (count, 1)),
        colour=np.full(count, pictures.ndim == 4 and pictures.shape[3] >= 3),
        thumbnails=None,
        reasons={},
    )


def _scan_files(paths: Sequence[Path], progress: Progress | None) -> Scan:
    memory = _Memory(paths)
    looks: list[Look] = []
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    done = in_parallel(lambda batch: [memory.look(path) for path in batch], batches)
    try:
        for part in done:
            looks += part
            if progress is not None:
                progress("reading images", len(looks), len(paths))
    finally:
        done.close()
        memory.save()  # an interrupted scan does not begin from nothing either
    readable = [at for at, look in enumerate(looks) if look.reason is None]
    kept = [looks[at] for at in readable]
    small = np.frombuffer(b"".join(look.thumbnail for look in kept), np.uint8)
    return Scan(
        readable=np.array(readable, np.int64),
        hashes=tuple(look.hash for look in kept),
        sizes=np.array([(look.height, look.width) for look in kept], np.int64).reshape(-1, 2),
        colour=np.array([look.colour for look in kept], bool),
        thumbnails=small.reshape(-1, EDGE, EDGE),
        reasons={at: look.reason for at, look in enumerate(looks) if look.reason is not None},
    )


def look_at(path: Path) -> Look:
    """Read and decode one file."""
    try:
        # a file that is too large, gone or locked is left to `decode`, which knows what to say
        data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
        picture = decode(path if data is None else data, "L")
        info = probe_image(path if data is None else data)
    except UnreadableImage as error:
        return Look(reason=error.reason)
    except OSError as error:
        return Look(reason=error.strerror or str(error))
    assert data is not None
    return Look(content_hash(data), *picture.size, info.colour, thumbnail(picture.picture).tobytes())


class _Memory:
    """What was found in the files before, by path, size and times of change; one file for the folder they lie in.

    The second time is that of the last change of any kind (on Windows: of creation): tools that copy a file over
    another one may keep the first.

    Files that cannot be read are not remembered: an extra that is installed later may read them.
    """

    COLUMNS = ("path", "size", "modified", "changed", *Look._fields[:-1])

    def __init__(self, paths: Sequence[Path]) -> None:
        one_drive = len({path.drive for path in paths}) == 1
        self._root = os.fsencode(os.path.commonpath([path.parent for path in paths]) if one_drive else "")
        key = content_hash(f"{SCAN_VERSION} ".encode() + self._root)
        self._file = cache_folder() / SCANS / f"{key}.parquet"
        self._known = self._load()
        self._fresh: dict[bytes, tuple[_State, Look]] = {}
        self._newest = (time.time() - _SETTLED) * 1e9

    def look(self, path: Path) -> Look:
        """What the file contains, read anew if it has changed."""
        name = os.fsencode(path)  # bytes: not every name of a file is text
        try:
            stat = path.stat()
        except (OSError, ValueError):
            return look_at(path)
        state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        known = self._known.get(name)
        if known is not None and known[0] == state:
            return known[1]
        look = look_at(path)
        if look.reason is None and max(state[1:]) < self._newest:
            self._fresh[name] = (state, look)
        return look

    def save(self) -> None:
        """Write down what is new, together with what is known of files that are still there."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._fresh:
            return
        kept = {name: row for name, row in self._known.items() if os.path.exists(name)}  # noqa: PTH110
        rows = [(name, *state, *look[:-1]) for name, (state, look) in {**kept, **self._fresh}.items()]
        columns = dict(zip(self.COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        table = pa.table(columns).replace_schema_metadata({"root": self._root})
        try:
            with replacing(self._file) as temporary:
                pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        except OpsinError as error:
            warnings.warn(f"the next load of these images will not be quicker: {error}", stacklevel=2)

    def _load(self) -> dict[bytes, tuple[_State, Look]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(self._file, memory_map=False, page_checksum_verification=True).to_pydict()
            rows = zip(*(table[name] for name in self.COLUMNS), strict=True)
            return {name: ((size, modified, changed), Look(*rest)) for name, size, modified, changed, *rest in rows}
        except (OSError, pa.ArrowException, LookupError, ValueError):  # none yet, or a damaged one: it only saves time
            return {}
