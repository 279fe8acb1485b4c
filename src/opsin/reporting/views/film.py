"""How a training went, step by step: curves, events, and what the network looked like inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from opsin.errors import OpsinError
from opsin.inference.answers import Progress
from opsin.reporting.parts.film import in_order
from opsin.reporting.parts.material import recalls
from opsin.reporting.views.recorded import Part, opened, outline
from opsin.reporting.views.subject import Subject
from opsin.training.run import Run

FEW_CHANNELS = 8  # numbers that are sent of an event; `count` says how many there are
COLUMNS = ("loss", "lr", "images_per_second")
PER_LAYER = ("gradient_norms", "update_ratios")
COUNTED = ("dead", "saturated")
EPOCH_COLUMNS = ("train_loss", "loss", "train_accuracy", "accuracy", "lr")
Positions = list[Annotated[int, Field(ge=0)]]


def steps(subject: Subject, *, progress: Progress, start: Annotated[int, Field(ge=0)] = 0) -> dict[str, Any]:  # noqa: ARG001
    """What was written down while the network learned.

    Args:
        start: the first line of `steps.jsonl` that is wanted: whoever has seen some lines asks for those behind them.
            If there are fewer (a training went back to a checkpoint), all of them come.

    Returns:
        start: of the lines that come, 0 or as asked; rows: how many lines there are;
        per line: step int32; loss, lr, images_per_second float32, NaN where unknown;
        gradient_norms, update_ratios: {layer: float32, NaN where unknown};
        dead, saturated: {layer: {count: float32, NaN where not counted; total: channels}};
        events: those of these lines, each {step, kind, layer, channels (the first 8), count, message, grave};
        alarms: of all epochs, each {step, kind, classes, best, now, message, grave};
        epochs: {epoch, step int32; train_loss, loss, train_accuracy, accuracy, lr float32, NaN where unknown};
        snapshots: int32, the steps that have one; last: the newest step; planned: the step at which it is to end, or
        None; status.

    Raises:
        OpsinError: no run is looked at, or its records were changed by hand.
    """
    run = subject.need_run()
    first = start if start <= len(run.steps) else 0
    lines = run.steps[first:]
    last = max((line["step"] for line in (*run.steps[-1:], *run.epochs[-1:])), default=0)
    return {
        "start": first,
        "rows": len(run.steps),
        "step": np.array([line["step"] for line in lines], np.int32),
        **{name: _column(lines, name) for name in COLUMNS},
        **{name: _per_layer(lines, name) for name in PER_LAYER},
        **{name: _counts(lines, name) for name in COUNTED},
        "events": [_event(line["step"], event) for line in lines for event in line.get("events", ())],
        "alarms": _alarms(run.epochs, subject.classes),
        "epochs": {
            **{name: np.array([line[name] for line in run.epochs], np.int32) for name in ("epoch", "step")},
            **{name: _column(run.epochs, name) for name in EPOCH_COLUMNS},
        },
        "snapshots": np.array(run.snapshot_steps, np.int32),
        "last": last,
        "planned": _planned(run),
        "status": run.status,
    }


def _column(lines: Iterable[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if (value := line.get(name)) is None else value for line in lines], np.float32)


def _per_layer(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, np.ndarray]:
    parts = [line.get(name) or {} for line in lines]
    return {layer: _column(parts, layer) for layer in dict.fromkeys(layer for part in parts for layer in part)}


def _counts(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    parts = [line.get(name) or {} for line in lines]
    totals = {layer: total for part in parts for layer, (_, total) in part.items()}
    counts = [{layer: count for layer, (count, _) in part.items()} for part in parts]
    return {layer: {"count": _column(counts, layer), "total": total} for layer, total in totals.items()}


def _event(step: int, event: Mapping[str, Any]) -> dict[str, Any]:
    channels = event.get("channels", ())
    return {
        "step": step,
        "kind": str(event.get("kind")),
        "layer": event.get("layer"),
        "channels": list(channels[:FEW_CHANNELS]),
        "count": len(channels),
        "message": str(event.get("message", event.get("kind"))),
        "grave": event.get("kind") == "nan",
    }


def _alarms(epochs: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for position, epoch in enumerate(epochs):
        for alarm in epoch.get("alarms", ()):
            names = list(alarm.get("classes", ()))
            best, now = None, None
            if alarm.get("kind") == "forgotten" and names and names[0] in classes:
                at = list(classes).index(names[0])
                seen = [float(recalls(e["confusion"])[at]) for e in epochs[: position + 1] if "confusion" in e]
                best, now = max(seen), seen[-1]
            kind = str(alarm.get("kind"))
            entry = {"step": epoch["step"], "kind": kind, "classes": names, "best": best, "now": now}
            found.append({**entry, "message": str(alarm.get("message", kind)), "grave": True})
    return found


def _planned(run: Run) -> int | None:
    """The last step of the training, from the first epoch's length."""
    epochs = run.info.get("recipe", {}).get("epochs")
    return epochs * run.epochs[0]["step"] // run.epochs[0]["epoch"] if epochs and run.epochs else None


def probe(subject: Subject, *, progress: Progress) -> dict[str, Any]:
    """The images that are watched, and what the network answered for them over time.

    Returns:
        ids; images: uint8 `(n, h, w, c)` as the network gets them; labels: int32, -1 where unknown; classes;
        steps: int32 `(s,)`, those with a snapshot; best: int32 `(s, n)`, the likeliest class; best_share, label_share:
        float32 `(s, n)`, its and the label's probability (NaN without a label);
        layers: in the order in which they run, each {name, kind, shape, kept: channels that snapshots hold, low, high:
        float32 `(s,)`, smallest and largest value on all images}.

    Raises:
        OpsinError: no run is looked at, nothing of it was recorded, or a snapshot cannot be read.
    """
    run = subject.need_run()
    recorded = run.snapshot_steps
    if run.probe is None or not recorded:
        raise OpsinError(f"{run.name} has no snapshots; train with record=true to watch it learn")
    outlines = []
    for position, step in enumerate(recorded):
        progress("snapshots", position, len(recorded))
        outlines.append(outline(run, step))
    labels = run.probe.labels.astype(np.int32)
    shares = np.stack([item.probabilities for item in outlines])
    known = (labels >= 0) & (labels < shares.shape[2])
    of_label = np.where(known, shares[:, np.arange(len(labels)), np.where(known, labels, 0)], np.nan)
    return {
        "ids": [f"probe/{position}" for position in range(len(labels))],
        "images": run.probe.images,
        "labels": labels,
        "classes": list(subject.classes),
        "steps": np.array(recorded, np.int32),
        "best": shares.argmax(axis=2).astype(np.int32),
        "best_share": shares.max(axis=2),
        "label_share": of_label.astype(np.float32),
        "layers": [
            {
                **entry,
                "kept": outlines[-1].kept[entry["name"]],
                "low": np.array([item.ranges[entry["name"]][0] for item in outlines], np.float32),
                "high": np.array([item.ranges[entry["name"]][1] for item in outlines], np.float32),
            }
            for entry in _layers(run, outlines[-1].kept)
        ],
    }


def _layers(run: Run, names: Iterable[str]) -> list[dict[str, Any]]:
    known = {entry["name"]: entry for entry in run.info.get("layers", ())}
    order = in_order(names, run.info.get("layers", ()))
    return [
        {"name": n, "kind": known.get(n, {}).get("type", ""), "shape": known.get(n, {}).get("shape")} for n in order
    ]


def snapshot(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    step: Annotated[int, Field(ge=0)],
    layers: list[str] | None = None,
    images: Positions | None = None,
    channels: Positions | None = None,
) -> dict[str, Any]:
    """What the network made of the probe at one step, as it was stored.

    Args:
        step: one that has a snapshot.
        layers: names; None: all of them; []: probabilities alone.
        images: positions in the probe; None: all.
        channels: the layers' channels, by their numbers; those that were not kept are left out. None: all that were.

    Returns:
        step; images: int32 positions; probabilities: float32 `(n, classes)`; layers: {name: {values: uint8
        `(n, c, h, w)`, of a layer without places `(n, features)`; low, high: what 0 and 255 stand for; channels: int32,
        their numbers in the layer}}.

    Raises:
        OpsinError: no run is looked at, the step has no snapshot, or it holds no such layer or image.
    """
    with opened(subject.need_run(), step) as part:
        probabilities = part["probabilities"]
        positions = np.arange(len(probabilities)) if images is None else np.array(images, np.int32)
        if len(positions) and positions.max() >= len(probabilities):
            raise OpsinError(f"image {positions.max()} of the probe was asked for; it has {len(probabilities)}")
        known = part.group("activations")
        wanted = known if layers is None else layers
        missing = [layer for layer in wanted if layer not in known]
        if missing:
            raise OpsinError(f"the snapshots hold no layer {missing[0]!r}; they hold {', '.join(sorted(known))}")
        return {
            "step": step,
            "images": positions.astype(np.int32),
            "probabilities": probabilities[positions],
            "layers": {layer: _activations(part, layer, positions, channels) for layer in wanted},
        }


def _activations(part: Part, layer: str, positions: np.ndarray, wanted: Sequence[int] | None) -> dict[str, Any]:
    values, channels = part[f"activations/{layer}"][positions], part[f"channels/{layer}"]
    if wanted is not None:
        held = np.flatnonzero(np.isin(channels, wanted))
        values, channels = values[:, held], channels[held]
    low, high = part.range(layer)
    return {"values": values, "low": low, "high": high, "channels": channels}
