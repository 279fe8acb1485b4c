"""How a worker opens what a page chose, and keeps up with a run that goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsin.errors import OpsinError
from opsin.files import read_json
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.models.sources.names import is_code
from opsin.models.weights import read_metadata
from opsin.reporting.views.subject import Subject
from opsin.studio.follow import Written, written
from opsin.studio.offline import network
from opsin.studio.own import open_to_look
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
    run = None
    if entry is place.shelf.given:
        with network():
            model = open_to_look(**entry.open)
        subject = Subject(entry.name, None, lambda: model)
    else:
        assert entry.path is not None
        path = entry.path
        if entry.status == "damaged":
            raise OpsinError(f"{entry.name} cannot be opened: its run.json was edited or cut off; train again")
        run = Run(path) if entry.kind == "run" else None
        subject = Subject(entry.name, run, lambda: _model(path, place))
    subject.others = lambda id: _open(place, place.shelf.find(id)).fresh()
    subject.other_names = lambda: {other.id: other.name for other in place.shelf.entries() if other.id != entry.id}
    return Opened(subject, None if run is None else run.path)


def _model(path: Path, place: Place) -> Classifier:
    """The network of a run or a model file of the folder: the weights are in .safetensors and .onnx files. A class of a
    person's own is run only where the command line named it."""
    name = _network_name(path)
    if not is_code(name):
        return load_model(path)
    trusted = next((own for own in place.code if _same(own, name)), None)
    if trusted is None:
        folder = path.parent.name if place.shelf.folder is None else place.shelf.folder.name
        raise OpsinError(
            f"{path.name} was trained on {name}, a class of its own, which is run only when the command line names it: "
            f"opsin studio {folder} --code {name}"
        )
    return load_model(path, module=trusted)


def _network_name(path: Path) -> str:
    """By which name the network of a run or file is built; empty where that is not said: `load_model` says why."""
    if path.is_dir():
        told = read_json(path / "run.json").get("model")
    else:
        metadata = {} if path.suffix == ".onnx" else read_metadata(path)
        try:
            told = json.loads(metadata["opsin"])["architecture"]
        except (LookupError, TypeError, ValueError):
            return ""
    return str(told.get("name") or "") if isinstance(told, dict) else ""


def _same(code: str, name: str) -> bool:
    """Whether two names mean the same class, wherever its file lies."""
    (left, _, one), (right, _, other) = code.rpartition(":"), name.rpartition(":")
    return one == other and Path(left).name == Path(right).name
