"""The film's beginning and end: what the layers show for the probe images untrained and at the last step.

What lies between is shown by the view (see `reporting.views.stored`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.records import Snapshot
from opsin.reporting.parts.material import Material, Missing, spread
from opsin.reporting.texts import Text, say

PIXELS = 6_000_000  # of maps in all: about 4 MB of the file
MOST_STEPS = 2
MOST_CHANNELS = 16  # per layer with pictures
MOST_VALUES = 256  # per layer with a vector
MOST_LAYERS = 12
LARGEST_SIDE = 56  # of a map, in pixels: larger ones are averaged down
CLIPPED = 0.002  # share of values that may lie beyond the colour scale
BEST = 3  # answers per image and step


@dataclass(frozen=True)
class FilmLayer:
    """One layer over time.

    Attributes:
        values: float32 `(steps, images, c, h, w)`, or `(steps, images, features)`.
        channels: the numbers of the channels (features) that are shown, of `total`.
        shrunk: how many pixels of a map, along each side, were averaged to one.
        low, high: the ends of the colour scale, the same for all steps and images; symmetric where values are signed.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    values: np.ndarray
    channels: np.ndarray
    total: int
    shrunk: int
    low: float
    high: float

    @property
    def signed(self) -> bool:
        """Whether values lie on both sides of zero."""
        return self.low < 0


@dataclass(frozen=True)
class Film:
    """Everything that is drawn of the probe over time.

    Attributes:
        steps: the steps of the snapshots, ascending.
        images: uint8 `(n, h, w, c)` as the network gets them; `labels` int64 `(n,)`, -1 where unknown.
        answers: int64 `(steps, n, best)`, the likeliest classes; `shares` float32, their probabilities.
        left_out: what did not fit, as sentences.
    """

    steps: tuple[int, ...]
    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    answers: np.ndarray
    shares: np.ndarray
    layers: tuple[FilmLayer, ...]
    left_out: tuple[Text, ...]


def film(material: Material) -> Film | Missing:
    """The film of a run; it needs snapshots and the probe."""
    run = material.run
    recorded = run.snapshot_steps
    if not recorded or run.probe is None:
        return Missing(say("film.missing"), say("film.remedy"))
    steps = [recorded[i] for i in spread(len(recorded), MOST_STEPS)]
    first = run.snapshot(steps[-1])
    names = in_order(first.activations, run.info.get("layers", ()))
    chosen = [names[i] for i in spread(len(names), MOST_LAYERS)]
    picks = {name: _pick(first.activations[name]) for name in chosen}
    per_image = sum(_pixels(first.activations[name], picks[name]) for name in chosen) * len(steps)
    count = len(run.probe.images)
    kept = np.array(spread(count, max(1, min(count, PIXELS // max(per_image, 1)))))
    snapshots = [run.snapshot(step) for step in steps[:-1]] + [first]
    entries = {entry["name"]: entry for entry in run.info.get("layers", ())}
    layers = tuple(_layer(name, entries.get(name, {}), snapshots, kept, picks[name]) for name in chosen)
    probabilities = np.stack([snapshot.probabilities[kept] for snapshot in snapshots])
    answers = np.argsort(-probabilities, axis=2, kind="stable")[..., :BEST]
    left_out = [
        say(f"film.left_{what}", kept=some, count=all_)
        for what, some, all_ in (
            ("steps", len(steps), len(recorded)),
            ("images", len(kept), count),
            ("layers", len(chosen), len(names)),
        )
        if some < all_
    ]
    return Film(
        steps=tuple(steps),
        images=run.probe.images[kept],
        labels=run.probe.labels[kept],
        classes=material.classes,
        answers=answers,
        shares=np.take_along_axis(probabilities, answers, axis=2),
        layers=layers,
        left_out=tuple(left_out),
    )


def in_order(names: Iterable[str], layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Layer names in the order of computation, as far as `run.json` lists it; others follow in natural order."""
    known = {entry["name"]: position for position, entry in enumerate(layers)}
    digits = re.compile(r"(\d+)")

    def key(name: str) -> tuple[int, list[tuple[bool, int, str]]]:
        parts = [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in digits.split(name)]
        return known.get(name, len(known)), parts

    return sorted(names, key=key)


def _pick(activation: np.ndarray) -> np.ndarray:
    """Which of the stored channels (features) are shown: evenly spaced ones."""
    return np.array(spread(activation.shape[1], MOST_CHANNELS if activation.ndim == 4 else MOST_VALUES))


def _shrink(activation: np.ndarray) -> int:
    return 1 if activation.ndim != 4 else -(-max(activation.shape[2:]) // LARGEST_SIDE)


def _pixels(activation: np.ndarray, pick: np.ndarray) -> int:
    each = 1 if activation.ndim != 4 else int(np.prod(activation.shape[2:])) // _shrink(activation) ** 2
    return len(pick) * each


def _layer(
    name: str, entry: Mapping[str, Any], snapshots: list[Snapshot], kept: np.ndarray, pick: np.ndarray
) -> FilmLayer:
    last = snapshots[-1].activations[name]
    factor = _shrink(last)
    values = np.stack([averaged(snapshot.activations[name][kept][:, pick], factor) for snapshot in snapshots])
    low, high = colour_range(values)
    shape = tuple(entry.get("shape", last.shape[1:]))
    return FilmLayer(
        name=name,
        kind=entry.get("type", ""),
        shape=shape,
        values=values.astype(np.float32),
        channels=snapshots[-1].channels[name][pick],
        total=shape[0],
        shrunk=factor,
        low=low,
        high=high,
    )


def averaged(maps: np.ndarray, factor: int) -> np.ndarray:
    """`(n, c, h, w)` with blocks of `factor` x `factor` averaged to one value; incomplete blocks at the edge too."""
    if factor == 1 or maps.ndim != 4:
        return maps
    rows, columns = (np.arange(0, side, factor) for side in maps.shape[2:])
    sums = np.add.reduceat(np.add.reduceat(maps, rows, axis=2), columns, axis=3)
    sizes = [np.diff([*starts, side]) for starts, side in zip((rows, columns), maps.shape[2:], strict=True)]
    return sums / np.outer(*sizes)


def colour_range(values: np.ndarray) -> tuple[float, float]:
    """Ends of a colour scale that at most `CLIPPED` of the values exceed: `(0, high)`, or `(-high, high)` where
    there are negative values."""
    if not values.size:
        return 0.0, 1.0
    high = float(np.quantile(np.abs(values), 1 - CLIPPED)) or float(np.abs(values).max()) or 1.0
    return (-high, high) if values.min() < 0 else (0.0, high)
