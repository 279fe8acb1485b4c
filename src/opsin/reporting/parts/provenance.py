"""Everything that is needed to repeat the run, and to know what it ran on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.reporting.parts.material import Material
from opsin.reporting.texts import Text, say

OFF = (False, 0, "none")


@dataclass(frozen=True)
class Group:
    """A heading with rows of label and value. Labels are texts, or names of settings and libraries (strings)."""

    title: Text
    rows: tuple[tuple[Text | str, str | Text], ...]


@dataclass(frozen=True)
class Provenance:
    """Groups of facts, and the reasons for what was chosen (in the words in which they were recorded)."""

    groups: tuple[Group, ...]
    choices: tuple[str, ...]
    command: str | None


def provenance(material: Material) -> Provenance:
    """The facts of `run.json`."""
    run = material.run
    info = run.info
    groups = [
        Group(say("provenance.run"), _run_rows(material)),
        Group(say("provenance.model"), _model_rows(info["model"])),
        Group(say("provenance.preprocess"), _rows(info.get("preprocess") or {})),
        Group(say("provenance.recipe"), _recipe_rows(info.get("recipe", {}))),
        Group(say("provenance.versions"), _rows({"opsin": info.get("opsin"), **info.get("versions", {})})),
    ]
    repeat = "recipe" in info and run.info.get("data") is not None
    return Provenance(
        groups=tuple(group for group in groups if group.rows),
        choices=tuple(info.get("choices", ())),
        command=f"opsin train … --recipe {run.path.as_posix()}/run.json" if repeat else None,
    )


def seconds_text(seconds: float) -> Text:
    """A duration in the unit that suits it."""
    if seconds < 120:
        return say("unit.seconds", value=seconds)
    return say("unit.minutes", value=seconds / 60) if seconds < 7200 else say("unit.hours", value=seconds / 3600)


def _run_rows(material: Material) -> tuple[tuple[Text | str, str | Text], ...]:
    run = material.run
    info = run.info
    data = info.get("data") or {}
    speeds = [line["images_per_second"] for line in run.steps if line.get("images_per_second")]
    rows: list[tuple[Text | str, Any]] = [
        (say("provenance.folder"), run.path.as_posix()),
        (say("provenance.status"), say(f"status.{run.status}")),
        (say("provenance.created"), info.get("created")),
        (say("provenance.time"), None if "seconds" not in info else seconds_text(info["seconds"])),
        (say("provenance.speed"), say("unit.speed", value=float(np.median(speeds))) if speeds else None),
        (say("provenance.device"), info.get("device")),
        (say("provenance.threads"), info.get("threads")),
        (say("provenance.seed"), info.get("seed")),
        (say("provenance.source"), json.dumps(data["source"], ensure_ascii=False) if data.get("source") else None),
        (say("provenance.fingerprint"), data.get("fingerprint")),
        (say("provenance.error"), info.get("error")),
    ]
    return tuple(
        (label, value if isinstance(value, Text) else str(value)) for label, value in rows if value is not None
    )


def _model_rows(model: Mapping[str, Any]) -> tuple[tuple[Text | str, str | Text], ...]:
    rows = dict(model)
    known: list[tuple[Text | str, str | Text]] = []
    for key, label in (("parameters", "provenance.parameters"), ("macs", "provenance.macs")):
        if (value := rows.pop(key, None)) is not None:
            known.append((say(label), f"{value:,}"))
    rest = {key: value for key, value in rows.items() if value not in (None, {}, [])}
    return (*_rows(rest), *known)


def _recipe_rows(recipe: Mapping[str, Any]) -> tuple[tuple[Text | str, str | Text], ...]:
    """Every setting; those that are switched off share one row."""
    off = [name for name, value in recipe.items() if value in OFF and name != "seed"]
    rows = _rows({name: value for name, value in recipe.items() if name not in off})
    return (*rows, (say("provenance.off"), ", ".join(off))) if off else rows


def _rows(values: Mapping[str, Any]) -> tuple[tuple[Text | str, str | Text], ...]:
    return tuple((name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
                 for name, value in values.items() if value is not None)  # fmt: skip
