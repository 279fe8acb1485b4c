"""Answers that a report carries, so that its views can be looked at without whoever answered them.

A view asks; in a report what it asks is looked up. So a report carries the answers to what its views ask first and to
what lies near, in chunks that a browser opens when one of their answers is wanted. Each chunk has a limit, and gives up
what is furthest from the first look when it is reached: later pictures, channels, epochs.
"""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from opsin.errors import OpsinError
from opsin.records import NOT_CHECKED
from opsin.reporting.parts.material import spread
from opsin.reporting.views import offline, questions, wire
from opsin.reporting.views.images import fitted
from opsin.reporting.views.shown import shrunk_maps
from opsin.reporting.views.subject import Subject

MOST_BYTES = 5_000_000  # of all chunks: with scripts and texts, in base64, a report stays below 8 MB
MOST_PICTURES = 1000
PICTURE_SIDE = 48  # pixels of the longer side of a carried picture
QUALITY = 80  # of JPEG, where pictures are too many for exact pixels
EXACT_BYTES = 750_000  # of pictures that are carried exactly
FILM_BYTES = 6_000_000  # of maps before they are compressed
FILM_STEPS, FILM_CHANNELS, FILM_LAYERS, FILM_SIDE = 24, 16, 12, 56
SPACE_EPOCHS, SPACE_POINTS = 16, 1000
WHY_BYTES, WHY_IMAGES, WHY_ROWS = 2_000_000, 24, 4  # of maps; pictures with maps at most, and at least
WHY_METHODS = ("grad_cam", "integrated_gradients", "saliency", "occlusion")  # as in `web/src/views/why/choices.ts`
FLOW_BYTES = 750_000
MOST_CURVES = 40
GALLERY_IMAGES, GALLERY_PICTURES = 24, 300  # of one cell of the confusion matrix, and of all

Answered = tuple[str, dict[str, Any], Any]


@dataclass(frozen=True)
class Chunk:
    """Some answers, compressed.

    Attributes:
        id: of the page's element that holds it.
        keys: of its answers: the question and its arguments as `wire.canonical` writes them.
        data: gzip of one message (see `wire.encode`) whose content is `answers`: by key the document and its buffers,
            `first` and `count`.
    """

    id: str
    keys: tuple[str, ...]
    data: bytes


@dataclass(frozen=True)
class Stored:
    """What a report carries for its views.

    Attributes:
        chunks: the answers.
        groups: how many pictures each group has.
        image: the picture that is chosen first, or None.
        views: those that have something to show.
        live: whether the browser itself can run the network; `why_not` says why it cannot.
        explained: how many pictures of the probe have maps of methods.
    """

    chunks: tuple[Chunk, ...]
    groups: Mapping[str, int]
    image: str | None
    views: tuple[str, ...]
    live: bool
    why_not: str = ""
    explained: int = 0


@dataclass
class _Carrying:
    """Answers on their way into chunks, and the pictures that they name."""

    subject: Subject
    chunks: list[Chunk] = field(default_factory=list)
    pictures: dict[str, None] = field(default_factory=dict)

    def ask(self, question: str, **args: Any) -> Any:
        return questions.answer(self.subject, question, args)

    def keep(self, name: str, answered: Sequence[Answered]) -> None:
        """Make a chunk, where there is something to keep."""
        if answered:
            self.chunks.append(chunk(f"opsin-stored-{name}", answered))

    @property
    def room(self) -> int:
        """Bytes that are left for chunks."""
        return MOST_BYTES - sum(len(one.data) for one in self.chunks)

    def name(self, ids: Sequence[str]) -> None:
        """These pictures will be shown."""
        self.pictures |= dict.fromkeys(ids)


def stored(subject: Subject) -> Stored:
    """What a report of this subject carries; a view whose answers cannot be given is left out."""
    carrying = _Carrying(subject)
    groups = subject.images.groups()
    carrying.name([f"probe/{at}" for at in range(groups.get("probe", 0))])
    carrying.keep("about", [("subject", {}, carrying.ask("subject"))])
    found = offline.offline(subject)
    live = not isinstance(found, str)
    if live:
        carrying.keep("network", [("offline", {}, found)])
    parts = VIEWS if live else {**VIEWS, "flow": _looked_through}
    views = [name for name, part in parts.items() if _carried(carrying, part)]
    carrying.keep("pictures", _pictures(subject, list(carrying.pictures)[:MOST_PICTURES]))
    # last: it fills what room is left
    views += ["film"] if _carried(carrying, _film) else []
    image = next((f"{group}/0" for group in groups), None)
    why_not = found if isinstance(found, str) else ""
    return Stored(tuple(carrying.chunks), groups, image, tuple(views), live, why_not, _explained(subject))


def chunk(id: str, answered: Sequence[Answered]) -> Chunk:
    """Answers as one chunk."""
    places: dict[str, Any] = {}
    buffers: list[bytes] = []
    for question, args, answer in answered:
        document, own = wire.pack(answer)
        key = f"{question} {wire.canonical(args)}"
        places[key] = {"document": document, "first": len(buffers), "count": len(own)}
        buffers += own
    # no time of day in it: the same answers are the same bytes
    data = gzip.compress(wire.encode({"answers": places}, buffers), 6, mtime=0)
    return Chunk(id, tuple(places), data)


def _carried(carrying: _Carrying, part: Callable[[_Carrying], None]) -> bool:
    """Whether the answers of a part can be given: what a run does not hold is no mistake, and its view is not shown."""
    try:
        part(carrying)
    except OpsinError:
        return False
    return True


def _flow(carrying: _Carrying) -> None:
    """The graph, which is the same for every picture of a report: they have one size."""
    carrying.keep("graph", [("graph", {}, carrying.ask("graph"))])


def _looked_through(carrying: _Carrying) -> None:
    """For a network that does not run in the browser: the graph, and what it makes of the first picture."""
    _flow(carrying)
    image = next((f"{group}/0" for group in carrying.subject.images.groups()), None)
    if image is None:
        raise OpsinError("there is no picture to look at")
    maps = carrying.ask("maps", image=image)
    size = sum(one["values"].nbytes for one in maps["layers"].values())
    if size > FLOW_BYTES:
        smaller = math.sqrt(FLOW_BYTES / size)
        maps = carrying.ask("maps", image=image, side=max(4, int(56 * smaller)))
    carrying.keep("looked", [
        ("input", {"image": image}, carrying.ask("input", image=image)),
        ("maps", {"image": image}, maps),
    ])  # fmt: skip


def _film(carrying: _Carrying) -> None:
    """Snapshots: fewer steps, and of each layer as many channels as fit."""
    steps = carrying.ask("steps")
    try:
        probe = carrying.ask("probe")
    except OpsinError:  # the curves are worth showing without maps
        carrying.keep("history", [("steps", {}, {**steps, "snapshots": steps["snapshots"][:0]})])
        return
    answered = _fitting(carrying, probe)
    carried = [args["step"] for question, args, _ in answered if question == "snapshot"]
    carrying.keep("history", [("steps", {}, {**steps, "snapshots": np.array(carried, np.int32)})])
    carrying.keep("film", answered)


def _fitting(carrying: _Carrying, probe: Mapping[str, Any]) -> list[Answered]:
    """As much of the snapshots as there is room for."""
    size = FILM_BYTES
    while True:
        answered = list(_snapshots(carrying, probe, size))
        if len(chunk("", answered).data) <= carrying.room or size < FILM_BYTES / 32:
            return answered
        size //= 2


def _snapshots(carrying: _Carrying, probe: Mapping[str, Any], size: int) -> Iterator[Answered]:
    recorded = probe["steps"]
    rows = spread(len(recorded), FILM_STEPS)
    layers = [probe["layers"][at] for at in spread(len(probe["layers"]), FILM_LAYERS)]
    names = [layer["name"] for layer in layers]
    room = size / (max(len(rows), 1) * max(len(probe["ids"]), 1))
    channels: dict[str, int] = {}
    for position, row in enumerate(rows):
        snapshot = carrying.ask("snapshot", step=int(recorded[row]), layers=names)
        channels = channels or _channels(snapshot, room)
        kept = {name: _cut(one, channels[name]) for name, one in snapshot["layers"].items()}
        yield "snapshot", {"step": int(recorded[row])}, {**snapshot, "layers": kept}
        if position == 0:
            yield "probe", {}, _fewer(probe, rows, layers, channels)


def _fewer(
    probe: Mapping[str, Any], rows: Sequence[int], layers: Sequence[Mapping[str, Any]], channels: Mapping[str, int]
) -> dict[str, Any]:
    """The probe over the steps and layers that are carried."""
    columns = ("steps", "best", "best_share", "label_share")
    return {
        **probe,
        **{name: probe[name][rows] for name in columns},
        "layers": [
            {**layer, "kept": channels[layer["name"]], "low": layer["low"][rows], "high": layer["high"][rows]}
            for layer in layers
        ],
    }


def _channels(snapshot: Mapping[str, Any], room: float) -> dict[str, int]:
    """How many channels of each layer fit into `room` bytes per image and step: as many of each as there is room."""
    shapes = {name: one["values"].shape[1:] for name, one in snapshot["layers"].items()}
    # a map of one number is no map: of a layer without places all features are kept
    sides = {name: _cells(shape) for name, shape in shapes.items()}
    vectors = sum(shape[0] for shape in shapes.values() if len(shape) == 1)
    for most in range(FILM_CHANNELS, 0, -1):
        needed = sum(min(most, shape[0]) * sides[name] for name, shape in shapes.items() if len(shape) == 3)
        if needed + vectors <= room or most == 1:
            return {name: min(most, shape[0]) if len(shape) == 3 else shape[0] for name, shape in shapes.items()}
    return {}


def _cells(shape: Sequence[int]) -> int:
    if len(shape) != 3:
        return 1
    step = math.ceil(max(shape[1:]) / FILM_SIDE)
    return math.ceil(shape[1] / step) * math.ceil(shape[2] / step)


def _cut(layer: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """The first channels of a layer, large maps made smaller."""
    values = layer["values"][:, :channels]
    if values.ndim == 4 and max(values.shape[2:]) > FILM_SIDE:
        flat = values.reshape(-1, *values.shape[2:]).astype(np.float32)
        small = np.round(shrunk_maps(flat, FILM_SIDE)).astype(np.uint8)
        values = small.reshape(*values.shape[:2], *small.shape[1:])
    return {**layer, "values": np.ascontiguousarray(values), "channels": layer["channels"][:channels]}


def _space(carrying: _Carrying) -> None:
    """The planes of some epochs, with as many images as a report carries pictures."""
    spaces = carrying.ask("spaces")
    rows = spread(len(spaces["epochs"]), SPACE_EPOCHS)
    answered: list[Answered] = []
    for row in rows:
        epoch = int(spaces["epochs"][row])
        found = carrying.ask("space", epoch=epoch)
        answered.append(("space", {"epoch": epoch}, _some(found, spread(len(found["ids"]), SPACE_POINTS))))
    fewer = {name: spaces[name][rows] for name in ("epochs", "steps")}
    answered.append(("spaces", {}, {**spaces, **fewer, "layers": []}))
    carrying.name(answered[0][2]["ids"])
    carrying.keep("space", answered)


def _some(layout: Mapping[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    """A layout of some of its images."""
    count = len(layout["ids"])
    if len(rows) == count:
        return dict(layout)
    columns = {
        name: value[rows] for name, value in layout.items() if isinstance(value, np.ndarray) and len(value) == count
    }
    return {**layout, **columns, "ids": [layout["ids"][row] for row in rows]}


def _classes(carrying: _Carrying) -> None:
    """The answers class by class, and the pictures of the most frequent mistakes."""
    found = carrying.ask("classes")
    split, count = found["split"], len(carrying.subject.classes)
    answered: list[Answered] = [("classes", {"split": split, "epoch": None}, found)]
    for index in range(min(count, MOST_CURVES)):
        answered.append(("curves", {"index": index, "split": split}, carrying.ask("curves", index=index, split=split)))
    seen: set[str] = set()
    for true, predicted in _cells_of(found, count):
        gallery = carrying.ask("gallery", split=split, true=true, predicted=predicted, count=GALLERY_IMAGES)
        if len(seen.union(gallery["ids"])) > GALLERY_PICTURES:
            break
        seen.update(gallery["ids"])
        carrying.name(gallery["ids"])
        answered.append(("gallery", {"split": split, "true": true, "predicted": predicted}, gallery))
    carrying.keep("classes", answered)


def _cells_of(found: Mapping[str, Any], count: int) -> Iterator[tuple[int | None, int | None]]:
    """The cells of a confusion matrix whose pictures are carried: mistakes, then classes as a whole."""
    pairs = found["pairs"]
    yield from zip(pairs["truth"].tolist(), pairs["answer"].tolist(), strict=True)
    for index in range(count):
        yield index, index
        yield index, None
        yield None, index


def _why(carrying: _Carrying) -> None:
    """Quick methods on pictures of the probe, and the evidence that the run keeps. `hosts/report/nearby.ts` answers
    about some of the pictures from what is stored of all of them."""
    found = carrying.ask("methods")
    images = [f"probe/{at}" for at in range(_explained(carrying.subject))]
    if carrying.subject.model_missing is not None or not images:
        raise OpsinError("there is no network, or there are no pictures to explain")
    answered: list[Answered] = [
        ("methods", {}, found),
        ("answers", {"images": "probe"}, carrying.ask("answers", images=images)),
    ]
    room = WHY_BYTES
    for method in _quick_methods(found):
        answer = carrying.ask("why", images=images, methods=[method])
        room -= sum(len(buffer) for buffer in wire.pack(answer)[1])
        if room < 0:
            break
        answered.append(("why", {"images": "probe", "methods": [method]}, answer))
    for method in found["kept"]:
        if found["kept"][method]["verdict"] != NOT_CHECKED:
            answered.append(("evidence", {"method": method}, carrying.ask("evidence", method=method)))
    carrying.keep("why", answered)


def _explained(subject: Subject) -> int:
    """How many pictures of the probe have maps in a report."""
    run = subject.run
    if run is None or run.probe is None:
        return 0
    pixels = math.prod(run.probe.images.shape[1:3])
    fitting = WHY_BYTES // (3 * pixels * len(WHY_METHODS))  # each map has two controls beside it
    return min(len(run.probe.images), max(WHY_ROWS, min(WHY_IMAGES, fitting)))


def _quick_methods(found: Mapping[str, Any]) -> list[str]:
    """The methods that the view shows first, then those that a person may choose, as far as they are quick."""
    recommended = [] if found["recommended"] is None else [found["recommended"]["method"]]
    passes = [method["name"] for method in found["methods"] if method["family"] != "perturbation"]
    slow = {method["name"] for method in found["methods"] if method["slow"]}
    named = dict.fromkeys([*recommended, *found["kept"], *WHY_METHODS, *passes])
    return [name for name in named if name not in slow]


VIEWS: Mapping[str, Callable[[_Carrying], None]] = {
    "flow": _flow,
    "why": _why,
    "classes": _classes,
    "space": _space,
}
"""The views of a report beside the film, and who gives their answers."""


def _pictures(subject: Subject, ids: Sequence[str]) -> list[Answered]:
    """Pictures on one sheet: `hosts/report/pictures.ts` cuts them out."""
    seen = []
    for id in ids:
        try:
            seen.append(subject.images[id])
        except OpsinError:
            continue  # its file is gone: its place stays empty where it would be shown
    if not seen:
        return []
    small = [fitted(one.pixels, PICTURE_SIDE) for one in seen]
    columns = math.ceil(math.sqrt(len(small)))
    rows = math.ceil(len(small) / columns)
    sheet = np.zeros((rows * PICTURE_SIDE, columns * PICTURE_SIDE, 3), np.uint8)
    for position, picture in enumerate(small):
        top, left = position // columns * PICTURE_SIDE, position % columns * PICTURE_SIDE
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    answer = {
        "ids": [one.id for one in seen],
        "names": [one.name for one in seen],
        "labels": np.array([-1 if one.label is None else one.label for one in seen], np.int32),
        "sizes": np.array([picture.shape[:2] for picture in small], np.int32),
        "grey": all(one.pixels.shape[2] == 1 for one in seen),
        "columns": columns,
        "side": PICTURE_SIDE,
        "sheet": _encoded(sheet),
    }
    return [("pictures", {}, answer)]


def _encoded(sheet: np.ndarray) -> wire.Picture:
    """PNG where that is small, as of digits; otherwise JPEG."""
    picture = Image.fromarray(sheet)
    grey = bool((sheet[..., :1] == sheet).all())
    exact = _file(picture.convert("L") if grey else picture, "PNG", optimize=True)
    if len(exact) <= EXACT_BYTES:
        return wire.Picture(exact, "image/png")
    return wire.Picture(_file(picture, "JPEG", quality=QUALITY), "image/jpeg")


def _file(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()
