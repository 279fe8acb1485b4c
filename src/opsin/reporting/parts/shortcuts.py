"""Shortcuts: small places by which the network recognises a class, with what was measured of them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opsin.evidence.shortcuts import kept_shortcuts
from opsin.records import Share, Shortcut, Shortcuts
from opsin.records.shortcuts import PLACES
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.texts import Text, say

ROWS = ("own", "without", "others", "pasted")


@dataclass(frozen=True)
class Figure:
    """A share of images beside its controls."""

    name: Text
    share: Share
    controls: tuple[tuple[Text, float], ...]


@dataclass(frozen=True)
class Strip:
    """A row of images uint8 `(m, h, w, c)` and what the network calls each; `right`: what it should."""

    name: Text
    pictures: np.ndarray
    answers: tuple[str, ...]
    turned: tuple[bool, ...]


@dataclass(frozen=True)
class Place:
    """A place that a class is recognised by, or that its images mark in vain.

    Attributes:
        class_name: the class.
        sentence: what it is.
        details: how alike the class's images are there, where its maps gather, and how sure it is.
        figures: the effect and its controls.
        map: float32 `(h, w)`, the class's mean map; `high` is its largest magnitude.
        strips: examples.
        frame: top, left, height and width of the place as shares of the picture.
    """

    class_name: str
    sentence: Text
    details: tuple[Text, ...]
    figures: tuple[Figure, ...]
    map: np.ndarray
    high: float
    strips: tuple[Strip, ...]
    frame: tuple[float, float, float, float]


@dataclass(frozen=True)
class Searched:
    """What was found and what not.

    Attributes:
        found, unused: shortcuts, and marks that the network passes over.
        classes: how many classes were looked at.
        stale: whether the weights have changed since.
        remedy: how to look again.
        skipped: classes that nothing is known of, and why, as it was recorded.
        notes: as they were recorded.
        protocol: everything that the figures depend on, as JSON.
    """

    found: tuple[Place, ...]
    unused: tuple[Place, ...]
    classes: int
    stale: bool
    remedy: Text
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    protocol: str


def shortcuts(material: Material) -> Searched | Missing:
    """What the last search for shortcuts left in the run."""
    if material.foreign:
        return Missing(say("shortcuts.foreign"))
    remedy = say(
        "shortcuts.remedy", command=f"opsin check {shlex.quote(material.run.path.as_posix())} --shortcuts --report"
    )
    kept = kept_shortcuts(material.run.path)
    if kept is None:
        return Missing(say("shortcuts.missing"), remedy)
    return searched(kept[0], stale=kept[1], remedy=remedy)


def searched(found: Shortcuts, *, stale: bool, remedy: Text) -> Searched:
    """The part of any search."""
    return Searched(
        found=tuple(map(_place, found.found)),
        unused=tuple(map(_place, found.unused)),
        classes=len(found.classes) - len(found.skipped),
        stale=stale,
        remedy=remedy,
        skipped=tuple(found.skipped.items()),
        notes=found.notes,
        protocol=json.dumps(found.protocol, ensure_ascii=False),
    )


def sentence_of(item: Shortcut) -> Text:
    """What `Shortcut.text` says, in every language."""
    return say(
        ("shortcuts.used" if item.loses else "shortcuts.turns") if item.used else "shortcuts.unused",
        name=item.class_name,
        place=say(f"place.{place_key(item.place)}"),
        top=item.region[0],
        bottom=item.region[2] - 1,
        left=item.region[1],
        right=item.region[3] - 1,
        recall=item.recall.value,
        without=item.recall_without.value,
        flips=item.flips.value,
        carried=item.carried or 0.0,
    )


def place_key(place: str) -> str:
    """The catalogue's key of one of PLACES."""
    assert any(place in row for row in PLACES)
    return place.replace(" ", "_")


def _place(item: Shortcut) -> Place:
    top, left, bottom, right = item.region
    height, width = item.size
    return Place(
        class_name=item.class_name,
        sentence=sentence_of(item),
        details=tuple(_details(item)),
        figures=_figures(item),
        map=item.map,
        high=float(np.abs(item.map).max()),
        strips=tuple(_strips(item)),
        frame=(top / height, left / width, (bottom - top) / height, (right - left) / width),
    )


def _details(item: Shortcut) -> list[Text]:
    alike = (
        say("shortcuts.not_alike")
        if item.carried is None
        else say(
            "shortcuts.alike",
            carried=item.carried,
            held=item.carried_held_out or 0.0,
            others=item.carried_others or 0.0,
        )
    )
    gathered = say(
        "shortcuts.gathered",
        share=item.gathered.value,
        others=item.gathered_others.value,
        area=(item.region[2] - item.region[0]) * (item.region[3] - item.region[1]) / (item.size[0] * item.size[1]),
    )
    return [alike, gathered, say("shortcuts.chance", p=item.p_value)]


def _figures(item: Shortcut) -> tuple[Figure, ...]:
    elsewhere = say("shortcuts.elsewhere")
    return (
        Figure(say("shortcuts.recall"), item.recall, ()),
        Figure(say("shortcuts.recall_without"), item.recall_without, ((elsewhere, item.recall_control.value),)),
        Figure(
            say("shortcuts.flips", name=item.class_name),
            item.flips,
            ((say("shortcuts.by_others"), item.flips_control.value), (elsewhere, item.flips_elsewhere.value)),
        ),
    )


def _strips(item: Shortcut) -> list[Strip]:
    # A change is what the removal or the pasting does to an image: the answer differs from that of the row above it.
    before: Sequence[Sequence[str]] = (item.answers[0], item.answers[0], item.answers[2], item.answers[2])
    return [
        Strip(
            name=say(f"shortcuts.row_{name}", name=item.class_name),
            pictures=pictures,
            answers=answers,
            turned=tuple(a != b for a, b in zip(answers, was, strict=True)),
        )
        for name, pictures, answers, was in zip(ROWS, item.examples, item.answers, before, strict=True)
    ]
