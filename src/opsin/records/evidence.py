"""How faithful an Explanation is to its model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError
from opsin.files import read_json, write_json
from opsin.records.common import Interval, jsonable
from opsin.records.shown import Shown

BETTER_THAN_RANDOM = "better than random"
NO_BETTER_THAN_RANDOM = "no better than random"
FAILS_SANITY = "fails the sanity check"
NOT_CHECKED = "not checked yet"
VERDICTS = (BETTER_THAN_RANDOM, NO_BETTER_THAN_RANDOM, FAILS_SANITY, NOT_CHECKED)


@dataclass(frozen=True)
class Control:
    """What a map that knows nothing of the network gets in the same measure.

    Attributes:
        values: float64 `(n,)` in the order of the measure's values (the mean, where several maps were drawn per image).
        mean, interval: their mean and its 95 % bootstrap interval over images.
        advantage, advantage_interval: by how much the explanation is better than the control, paired by image; positive
            whichever direction is better.
        p_value: of the one-sided exact permutation test that the explanation is one more such map, or None where only
            one control map exists per image.
    """

    values: np.ndarray
    mean: float
    interval: Interval
    advantage: float
    advantage_interval: Interval
    p_value: float | None = None


@dataclass(frozen=True)
class Measure:
    """One measured property of an Explanation.

    Attributes:
        values: float64 `(n,)`, one per image (per cell of a mosaic in the grid pointing game).
        mean, interval: their mean and its 95 % bootstrap interval.
        better: "lower" or "higher".
        protocol: everything that the figure depends on: steps, baseline, kind of score, seed ...
        controls: by name, "random" and "edge".
        curve: float64 `(points, columns)`, means over images, named by `columns`; or None.
    """

    values: np.ndarray
    mean: float
    interval: Interval
    better: str
    protocol: dict[str, Any]
    controls: dict[str, Control] = field(default_factory=dict)
    curve: np.ndarray | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence(Shown):
    """How faithful an Explanation is to its model under stated protocols; never whether the answer itself is right.

    Attributes:
        verdict: "better than random", "no better than random", "fails the sanity check" or "not checked yet".
        reasons: why, one sentence each.
        measures: by name, in the order in which they were made.
        skipped: measures that could not be made, by name, with the reason.
        advantage, advantage_interval, p_value: over random maps, averaged over the measures of faithfulness: what the
            verdict rests on; None where none was made.
        method, layer, model, names: what was checked, and on which images.
        seed: of all draws.
        seconds: wall time.
        notes: what a reader has to know to judge the figures.
        weights: content hash of the weights file, where the evidence is kept in a run; else "".
    """

    verdict: str
    reasons: tuple[str, ...]
    measures: dict[str, Measure]
    skipped: dict[str, str]
    method: str
    layer: str
    model: str
    names: tuple[str, ...]
    advantage: float | None = None
    advantage_interval: Interval | None = None
    p_value: float | None = None
    seed: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    weights: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise OpsinError(f"the verdict {self.verdict!r} is unknown; expected one of {', '.join(VERDICTS)}")

    @property
    def failed(self) -> bool:
        """Whether a check was made and did not pass."""
        return self.verdict in (NO_BETTER_THAN_RANDOM, FAILS_SANITY)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {item.name: jsonable(getattr(self, item.name)) for item in dataclasses.fields(self)}

    def text(self) -> str:
        """A table for people: the verdict, why, and every measure beside its controls."""
        head = ("measure", "value", "95 % interval", "random", "edges", "better")
        rows = [head, *(_measure_row(name, measure) for name, measure in self.measures.items())]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        where = f" at {self.layer}" if self.layer else ""
        lines = [f"{self.method}{where} of {self.model}, {len(self.names):,} images: {self.verdict}"]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"not measured: {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def save(self, path: str | Path) -> None:
        """Write the evidence as JSON; `Evidence.load` reads it back."""
        write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: str | Path) -> Evidence:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing, or holds no evidence.
        """
        values = read_json(path)
        try:
            overall = values["advantage_interval"]
            return cls(
                **{
                    **values,
                    "measures": {name: _measure(item) for name, item in values["measures"].items()},
                    "advantage_interval": None if overall is None else Interval(**overall),
                    **{name: tuple(values[name]) for name in ("reasons", "names", "notes")},
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OpsinError(
                f"{path} holds no evidence of this version ({error}); check the explanation again"
            ) from error


def _measure_row(name: str, measure: Measure) -> tuple[str, ...]:
    beside = [f"{measure.controls[key].mean:.3f}" if key in measure.controls else "" for key in ("random", "edge")]
    interval = f"[{measure.interval.low:.3f}, {measure.interval.high:.3f}]"
    return (name, f"{measure.mean:.3f}", interval, *beside, measure.better)


def _measure(stored: dict[str, Any]) -> Measure:
    curve = stored["curve"]
    return Measure(
        **{
            **stored,
            "values": np.array(stored["values"], np.float64),
            "interval": Interval(**stored["interval"]),
            "controls": {name: _control(item) for name, item in stored["controls"].items()},
            "curve": None if curve is None else np.array(curve, np.float64),
            "columns": tuple(stored["columns"]),
        }
    )


def _control(stored: dict[str, Any]) -> Control:
    intervals = {name: Interval(**stored[name]) for name in ("interval", "advantage_interval")}
    return Control(**{**stored, **intervals, "values": np.array(stored["values"], np.float64)})
