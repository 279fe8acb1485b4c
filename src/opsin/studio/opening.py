"""How a worker opens what a page chose, and keeps up with a run that goes on."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opsin.errors import OpsinError
from opsin.inference.named import open_named
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.models.sources.names import is_code
from opsin.reporting.views.subject import Subject
from opsin.studio.follow import Written, written
from opsin.studio.runs import Entry, Place
from opsin.training.run import Run


class Opened:
    """A subject, read anew where its run has written since the last question."""

    def __init__(self, subject: Subject, path: Path | None) -> None:
        self._subject, self._path = subject, path
        self._seen: Written = {} if path is None else written(path)

    def fresh(self) -> Subject:
        """The subject as it is now."""
        if self._path is not None and self._subject.run is not None:
            now = written(self._path)
            if now != self._seen:
                self._subject.forget(model=now["weights"] != self._seen["weights"])
                self._seen = now
        return self._subject


def open_subject(told: Mapping[str, Any]) -> Opened:
    """Open a subject.

    Args:
        told: `folder`, `given` and `code` as `Place.told` gives them, and the subject's `id`.

    Raises:
        OpsinError: it is not there, lies outside of the folder, or is damaged.
    """
    place = Place.of(told)
    return _open(place, place.shelf.find(told["id"]))


def _open(place: Place, entry: Entry) -> Opened:
    run = Run(entry.path) if entry.kind == "run" and entry.path is not None else None
    if run is not None:
        subject = Subject(entry.name, run, lambda: _model_of(run, place.code))
    elif entry is place.shelf.given:
        with network():
            model = open_named(**entry.open)
        subject = Subject(entry.name, None, lambda: model)
    else:
        assert entry.path is not None
        subject = Subject.of(entry.path)
    subject.others = lambda id: _open(place, place.shelf.find(id)).fresh()
    subject.other_names = lambda: {other.id: other.name for other in place.shelf.entries() if other.id != entry.id}
    return Opened(subject, None if run is None else run.path)


def _model_of(run: Run, code: Sequence[str]) -> Classifier:
    """The network of a run, with the weights of its own .safetensors files. A class of a person's own is run only where
    the command line named it."""
    name = str((run.info.get("model") or {}).get("name") or "")
    if not is_code(name):
        return load_model(run.path)
    trusted = next((own for own in code if _same(own, name)), None)
    if trusted is None:
        raise OpsinError(
            f"{run.name} was trained on {name}, a class of its own, which is run only when the command line names it: "
            f"opsin studio {run.path.parent.name} --code {name}"
        )
    return load_model(run.path, module=trusted)


def _same(code: str, name: str) -> bool:
    """Whether two names mean the same class, wherever its file lies."""
    (left, _, one), (right, _, other) = code.rpartition(":"), name.rpartition(":")
    return one == other and Path(left).name == Path(right).name


_allowed = False


class network:
    """Inside the block addresses may be opened: to fetch the weights of a network that the command line named."""

    def __enter__(self) -> None:
        global _allowed  # noqa: PLW0603 (an audit hook has no other place to look at)
        _allowed = True

    def __exit__(self, *_: object) -> None:
        global _allowed  # noqa: PLW0603
        _allowed = False


def stay_offline() -> None:
    """From now on nothing in this process can open an address, so that no run or model file, wherever it came from,
    makes the studio fetch something or tell somebody that it was opened."""
    sys.addaudithook(_refuse_addresses)


def _refuse_addresses(event: str, args: tuple[Any, ...]) -> None:
    asks = event == "socket.getaddrinfo" or (event in ("socket.connect", "socket.sendto") and _is_address(args[1]))
    if asks and not _allowed:
        raise OpsinError("this would open a network address, which the studio never does; fetch it on the command line")


def _is_address(where: Any) -> bool:
    return isinstance(where, tuple)  # the others lie in this machine's file system
