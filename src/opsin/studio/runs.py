"""What the studio can open: the runs and model files of one folder, and what the command line named itself.

The page names them by ids alone. Nothing outside of the folder can be opened, whatever a page asks and wherever the
links in the folder point.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsin.errors import OpsinError

DEPTH = 4  # folders below the given one in which runs are looked for
MOST = 5_000  # folder entries that are looked at in one listing
MOST_FILES = 100_000  # of one run, among which a link is looked for
MODELS = (".safetensors", ".onnx")
_HEADER = 16 * 2**20  # bytes of a safetensors file's header at most


@dataclass(frozen=True)
class Entry:
    """Something that can be opened.

    Attributes:
        id: names it in addresses; the same at every start.
        name: its path in the folder, or as the command line gave it. Any text.
        kind: `run`, `file` (a .safetensors or .onnx file) or `model` (named on the command line).
        status: of a run: `running`, `stopped`, `finished` or `failed`; otherwise empty.
        changed: when a run last wrote something, in seconds since 1970; of a file, when it was written.
        path: where it lies in the folder; None for what the command line named by itself.
        open: how that is opened: the arguments of `open_to_look`.
    """

    id: str
    name: str
    kind: str
    status: str
    changed: float
    path: Path | None
    open: Mapping[str, Any] = field(default_factory=dict)

    def public(self) -> dict[str, Any]:
        """What a page is told."""
        return {"id": self.id, "name": self.name, "kind": self.kind, "status": self.status, "changed": self.changed}


class Shelf:
    """The things that a studio can open.

    Args:
        folder: where runs lie, or one run itself; it need not exist yet. None: only `given` can be opened.
        given: what the command line named by itself.
    """

    def __init__(self, folder: Path | None, given: Entry | None = None) -> None:
        self.folder = None if folder is None else folder.absolute()
        self.given = given
        self._statuses: dict[Path, tuple[int, int, str]] = {}

    def entries(self) -> list[Entry]:
        """What is there now: what was named on the command line, then runs, then files, the latest first."""
        found = list(self._scan()) if self.folder is not None else []
        found.sort(key=lambda entry: (entry.kind != "run", -entry.changed, entry.name))
        return [*([self.given] if self.given else []), *found]

    def find(self, id: str) -> Entry:
        """The entry of an id.

        Raises:
            OpsinError: there is none, or a link in it leads out of the folder.
        """
        entry = next((entry for entry in self.entries() if entry.id == id), None)
        if entry is None:
            raise OpsinError("this run or model is not here any more; choose another one")
        if entry is not self.given and entry.path is not None and self.folder is not None:
            _require_inside(entry.path, self.folder)
        return entry

    def _scan(self) -> Iterator[Entry]:
        assert self.folder is not None
        if (self.folder / "run.json").is_file():
            yield self._run(self.folder)
            return
        left = MOST
        waiting = [(self.folder, 0)]
        while waiting and left > 0:
            folder, depth = waiting.pop(0)
            for item in _listed(folder):
                left -= 1
                if item.name.startswith(".") or item.is_symlink():
                    continue
                path = Path(item.path)
                if item.is_dir():
                    if (path / "run.json").is_file():
                        yield self._run(path)
                    elif depth + 1 < DEPTH:
                        waiting.append((path, depth + 1))
                elif path.suffix in MODELS and item.is_file() and _is_model(path):
                    yield self._entry(path, "file", "", _written(path))

    def _run(self, path: Path) -> Entry:
        changed = max(_written(path / name) for name in ("run.json", "steps.jsonl", "epochs.jsonl"))
        return self._entry(path, "run", self._status(path / "run.json"), changed)

    def _entry(self, path: Path, kind: str, status: str, changed: float) -> Entry:
        assert self.folder is not None
        name = path.name if path == self.folder else path.relative_to(self.folder).as_posix()
        name = name.encode("utf-8", "replace").decode()  # a file name can be bytes that are no text
        return Entry(identify(os.fsencode(path)), name, kind, status, changed, path)

    def _status(self, path: Path) -> str:
        """What run.json says, read again only when it was written again."""
        try:
            state = path.stat()
            known = self._statuses.get(path)
            if known is None or known[:2] != (state.st_mtime_ns, state.st_size):
                info = json.loads(path.read_text(encoding="utf-8"))
                known = (state.st_mtime_ns, state.st_size, str(info.get("status", "")))
                self._statuses[path] = known
            return known[2]
        except (OSError, ValueError, AttributeError, RecursionError):
            return "damaged"


@dataclass(frozen=True)
class Place:
    """What the command line said: all that a worker has to know beside a subject's id.

    Attributes:
        shelf: the things that can be opened.
        code: classes of a person's own, as `my.py:CNN`, with which runs that were trained on them are opened.
    """

    shelf: Shelf
    code: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        given, folder = self.shelf.given, self.shelf.folder
        return {
            "folder": None if folder is None else str(folder),
            "given": None if given is None else {**vars(given), "path": None},
            "code": list(self.code),
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Place:
        """What `told` gave."""
        folder = None if told["folder"] is None else Path(told["folder"])
        given = None if told["given"] is None else Entry(**told["given"])
        return cls(Shelf(folder, given), tuple(told["code"]))


def identify(what: bytes) -> str:
    """The id of a path or name."""
    return hashlib.blake2b(what, digest_size=8).hexdigest()


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda item: item.name)
    except OSError:  # not there yet, gone again, or not ours to read
        return []


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_model(path: Path) -> bool:
    """Whether a file can be opened by itself: an .onnx file, or weights that say which network they belong to."""
    if path.suffix == ".onnx":
        return True
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            header = handle.read(length) if length <= _HEADER else b""
        return "opsin" in json.loads(header).get("__metadata__", {})
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False


def _require_inside(path: Path, folder: Path) -> None:
    """Refuse what lies outside of the folder, or has a link in it that leads there.

    Raises:
        OpsinError: it does.
    """
    root = folder.resolve()
    real = path.resolve()
    if not real.is_relative_to(root):
        raise OpsinError(f"{path.name} lies outside of {folder.name}; copy it there")
    if not real.is_dir():
        return
    count = 0
    waiting = [real]
    while waiting:
        for item in _listed(waiting.pop()):
            count += 1
            if count > MOST_FILES:
                raise OpsinError(f"{path.name} holds more than {MOST_FILES:,} files; expected a run folder")
            if item.is_symlink() and not Path(item.path).resolve().is_relative_to(root):
                raise OpsinError(f"{item.name} in {path.name} is a link that leads out of {folder.name}; copy the file")
            if item.is_dir(follow_symlinks=False):
                waiting.append(Path(item.path))
