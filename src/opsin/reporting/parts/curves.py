"""How the network learned: losses, accuracy, learning rate, gradients, updates, silent channels, and what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from opsin.reporting.parts.material import Material, Missing, recalls, spread
from opsin.reporting.texts import Text, say

MOST_LAYERS = 12  # lines in one panel
FEW_CHANNELS = 8  # channel numbers in one sentence
GRADIENT_BAND = (1e-3, 1e-1)
USUAL_UPDATE = 1e-3


@dataclass(frozen=True)
class Line:
    """One line of a panel: float64 `(points, 2)` of step and value. `role` says what it is (`train`, `validation`,
    `step`, `plain`), or it is a layer, `depth` of the way (0..1) from input to output."""

    name: Text | str
    points: np.ndarray
    role: Literal["train", "validation", "step", "plain", "layer"] = "plain"
    depth: float = 0.0


@dataclass(frozen=True)
class Panel:
    """Lines that share their axes. `band` is a usual range, `left_out` counts layers that are not drawn."""

    name: str
    lines: tuple[Line, ...]
    scale: Literal["linear", "log", "share"] = "linear"
    band: tuple[float, float] | None = None
    left_out: int = 0


@dataclass(frozen=True)
class Flag:
    """Something that happened: a mark on the axis of steps. `grave` ones are alarms."""

    step: int
    text: Text
    grave: bool


@dataclass(frozen=True)
class Curves:
    """All panels over steps 0..last, and the flags in their order. `notes` say what has no panel because it was
    never seen."""

    last: int
    panels: tuple[Panel, ...]
    flags: tuple[Flag, ...]
    notes: tuple[Text, ...] = field(default=())


def curves(material: Material) -> Curves | Missing:
    """The panels of a run; at least one recorded step or epoch is needed."""
    run = material.run
    steps, epochs = run.steps, run.epochs
    learnt = [line for line in steps if line.get("loss") is not None]
    if not learnt and not epochs:
        return Missing(say("curves.missing"), say("curves.remedy"))
    depth = {entry["name"]: i for i, entry in enumerate(run.info.get("layers", ()))}
    panels = [
        Panel("loss", _lines(
            ("step", "step", _points(steps, "loss")),
            ("train", "train", _points(epochs, "train_loss")),
            ("validation", "validation", _points(epochs, "loss")),
        )),
        Panel("accuracy", _lines(
            ("train", "train", _points(epochs, "train_accuracy")),
            ("validation", "validation", _points(epochs, "accuracy")),
        ), "share"),
        Panel("lr", _lines(("lr", "plain", _points(steps, "lr") if _has(steps, "lr") else _points(epochs, "lr")))),
        _layers("gradients", steps, "gradient_norms", depth, "log", GRADIENT_BAND),
        _layers("updates", steps, "update_ratios", depth, "log", (USUAL_UPDATE, USUAL_UPDATE)),
        _counts("dead", steps, depth),
        _counts("saturated", steps, depth),
    ]  # fmt: skip
    shown = tuple(panel for panel in panels if panel.lines)
    last = max([line["step"] for line in (*steps, *epochs)], default=0)
    return Curves(last, shown, flags(steps, epochs, material.classes), _notes(steps, {panel.name for panel in shown}))


def flags(
    steps: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> tuple[Flag, ...]:
    """Recorded events and alarms, oldest first."""
    found = [Flag(line["step"], event_text(event), event.get("kind") == "nan")
             for line in steps for event in line.get("events", ())]  # fmt: skip
    for position, epoch in enumerate(epochs):
        found += [
            Flag(epoch["step"], alarm_text(alarm, epochs[: position + 1], classes), True)
            for alarm in epoch.get("alarms", ())
        ]
    return tuple(sorted(found, key=lambda flag: flag.step))


def event_text(event: Mapping[str, Any]) -> Text:
    """A recorded event as a sentence; one of an unknown kind is quoted."""
    kind = event.get("kind")
    if kind in ("dead", "revived", "saturated", "unsaturated"):
        channels = event["channels"]
        few = tuple(channels[:FEW_CHANNELS])
        values = {"layer": event["layer"], "count": len(channels), "few": few}
        return say(f"event.{kind}", **values, more="" if len(channels) <= FEW_CHANNELS else " …")
    if kind == "nan":
        return say("event.nan", layer=event.get("layer", "?"), message=event.get("message", ""))
    return say("event.other", message=str(event.get("message", kind)))


def alarm_text(alarm: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Text:
    """An alarm of the last of these epochs as a sentence; one of an unknown kind is quoted."""
    kind, names = alarm.get("kind"), alarm.get("classes", ())
    if kind == "forgotten" and names and names[0] in classes:
        position = list(classes).index(names[0])
        seen = [recalls(epoch["confusion"])[position] for epoch in epochs if "confusion" in epoch]
        return say("alarm.forgotten", name=names[0], best=float(max(seen)), now=float(seen[-1]))
    if kind == "swapped" and len(names) == 2:
        return say("alarm.swapped", first=names[0], second=names[1])
    if kind == "over-fitting":
        return say("alarm.over_fitting")
    return say("alarm.other", message=str(alarm.get("message", kind)))


def final_counts(steps: Sequence[Mapping[str, Any]], key: Literal["dead", "saturated"]) -> dict[str, tuple[int, int]]:
    """Per layer the number of dead (saturated) channels and of all, at the last snapshot."""
    counted = [line[key] for line in steps if line.get(key)]
    return {name: (count, total) for name, (count, total) in counted[-1].items()} if counted else {}


def _has(lines: Iterable[Mapping[str, Any]], key: str) -> bool:
    return any(line.get(key) is not None for line in lines)


def _points(lines: Iterable[Mapping[str, Any]], key: str) -> np.ndarray:
    known = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
    return np.array(known, np.float64).reshape(-1, 2)


def _lines(*given: tuple[str, Any, np.ndarray]) -> tuple[Line, ...]:
    return tuple(Line(say(f"curves.line_{name}"), points, role) for name, role, points in given if len(points))


def _layers(
    name: str, steps: Sequence[Mapping[str, Any]], key: str, depth: Mapping[str, int],
    scale: Literal["linear", "log", "share"], band: tuple[float, float] | None,
) -> Panel:  # fmt: skip
    series: dict[str, list[tuple[float, float]]] = {}
    for line in steps:
        for layer, value in (line.get(key) or {}).items():
            if value is not None and (scale != "log" or value > 0):
                series.setdefault(layer, []).append((line["step"], value))
    order = sorted(series, key=lambda layer: (depth.get(layer, len(depth)), list(series).index(layer)))
    chosen = [order[i] for i in spread(len(order), MOST_LAYERS)]
    lines = tuple(
        Line(layer, np.array(series[layer], np.float64), "layer", i / max(len(chosen) - 1, 1))
        for i, layer in enumerate(chosen)
    )
    return Panel(name, lines, scale, band, len(order) - len(chosen))


def _counts(name: Literal["dead", "saturated"], steps: Sequence[Mapping[str, Any]], depth: Mapping[str, int]) -> Panel:
    """Shares of dead or saturated channels of the layers that ever had one."""
    shares = [
        {"step": line["step"], name: {layer: count / max(total, 1) for layer, (count, total) in line[name].items()}}
        for line in steps
        if line.get(name)
    ]
    ever = {layer for line in shares for layer, share in line[name].items() if share > 0}
    kept = [{**line, name: {layer: share for layer, share in line[name].items() if layer in ever}} for line in shares]
    return _layers(name, kept, name, depth, "share", None)


def _notes(steps: Sequence[Mapping[str, Any]], shown: set[str]) -> tuple[Text, ...]:
    notes = []
    if _has(steps, "dead") and "dead" not in shown:
        notes.append(say("curves.none_dead" if any(line.get("dead") for line in steps) else "curves.no_relu"))
    if not steps:
        notes.append(say("curves.not_recorded"))
    return tuple(notes)
