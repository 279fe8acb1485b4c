"""Why it answers: maps of several methods on the same images, each with what was measured of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from opsin.evidence import controls, sanity
from opsin.evidence.kept import Kept
from opsin.evidence.measures import FAITHFULNESS
from opsin.explanation.methods import METHODS
from opsin.files import to_json
from opsin.records import Evidence, Explanation, Interval, Measure
from opsin.records.evidence import BETTER_THAN_RANDOM, FAILS_SANITY, NO_BETTER_THAN_RANDOM, NOT_CHECKED
from opsin.reporting.parts.material import Material, Missing, spread
from opsin.reporting.pictures import display_pixels
from opsin.reporting.pictures.pieces import FULL_COLOUR
from opsin.reporting.texts import Text, say

MOST_IMAGES = 6
MOST_METHODS = 6
MOST_CONTROLS = 2  # images whose control maps are shown
SIDE = 128  # pixels of a picture and its maps
BEST = 3  # answers per image
LEAST = 0.005  # probability of those behind the first
ROUNDING = 1e-3  # of a figure, which batches of another size change a little
CURVES = (*FAITHFULNESS, "randomisation")
VERDICT_KEYS = {
    BETTER_THAN_RANDOM: "better",
    NO_BETTER_THAN_RANDOM: "no_better",
    FAILS_SANITY: "fails",
    NOT_CHECKED: "unchecked",
}


@dataclass(frozen=True)
class Answered:
    """What the network answers to an image: its class where that is known, and classes with their probabilities."""

    label: str | None
    best: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Row:
    """An image as the network gets it, uint8 `(h, w, c)`; the class whose score is explained, and perhaps the class
    that it is explained against."""

    name: str
    pixels: np.ndarray
    target: str
    against: str | None
    answered: Answered


@dataclass(frozen=True)
class Map:
    """A map float32 `(h, w)` at the size of its row's picture.

    Attributes:
        low, high: its smallest and largest value, before it was shrunk.
        full: the magnitude that gets the full colour.
        gain: by how much this image's score changes more than with random maps, mean of the measures of faithfulness;
            None where none was made.
    """

    values: np.ndarray
    low: float
    high: float
    full: float
    gain: float | None = None


@dataclass(frozen=True)
class Figure:
    """One measure of a method, in `unit`."""

    name: Text | str
    unit: Text
    measure: Measure


@dataclass(frozen=True)
class Curve:
    """float64 `(points, columns)`: a share, then what is named by `columns`."""

    name: Text
    points: np.ndarray
    columns: tuple[str, ...]
    share: Text


@dataclass(frozen=True)
class Method:
    """One column.

    Attributes:
        verdict: its key: better, no_better, fails or unchecked.
        signed: whether its maps are shown in the signed colours.
        maps: one per row.
        controls: of the first rows, a random map and the edges.
        gain, gain_interval, p_value: over random maps, what the verdict rests on; None where nothing was measured.
        reasons: why the verdict is what it is.
        protocols: by measure, everything that its figures depend on.
        skipped: measures that could not be made, and why, as it was recorded.
        facts: about the maps: the layer, settings, cost.
    """

    name: str
    title: str | None
    layer: str
    verdict: str
    signed: bool
    maps: tuple[Map, ...]
    controls: tuple[tuple[Map, Map], ...]
    gain: float | None
    gain_interval: Interval | None
    p_value: float | None
    reasons: tuple[Text, ...]
    figures: tuple[Figure, ...]
    curves: tuple[Curve, ...]
    protocols: tuple[tuple[Text | str, str], ...]
    skipped: tuple[tuple[Text | str, str], ...]
    notes: tuple[str, ...]
    facts: tuple[tuple[Text, str], ...]


@dataclass(frozen=True)
class Cell:
    """A figure of a method, and of the random maps beside it; None where it was not made."""

    value: float | None
    random: float | None


@dataclass(frozen=True)
class Compared:
    """The methods' figures side by side.

    Attributes:
        columns: the measures, with what is wanted of them ("lower", "higher").
        cells: per method, one for each column.
        edges: the edge control's figures: the same for all methods that were checked alike; None where they differ.
    """

    columns: tuple[tuple[Text, str], ...]
    cells: tuple[tuple[Cell, ...], ...]
    edges: tuple[float | None, ...]


@dataclass(frozen=True)
class Group:
    """Methods that were asked about the same images and classes; `images` is how many they were."""

    images: int
    rows: tuple[Row, ...]
    methods: tuple[Method, ...]
    compared: Compared | None


@dataclass(frozen=True)
class Why:
    """The groups; which methods are left out; by method, why something that was kept cannot be shown; and what to do
    where methods are not checked yet."""

    groups: tuple[Group, ...]
    left_out: tuple[str, ...]
    damaged: tuple[tuple[str, str], ...]
    remedy: Text | None


def why(material: Material) -> Why | Missing:
    """What a run has kept of the methods that were checked on it."""
    if material.foreign:
        return Missing(say("why.foreign"), say("why.foreign_remedy"))
    found, damaged = material.kept
    command = f"opsin check {shlex.quote(material.run.path.as_posix())} --report"
    if not found and not damaged:
        return Missing(say("why.missing"), say("why.remedy", command=command))
    return why_of(found, _answers(material), damaged, command)


def why_of(
    found: Sequence[Kept],
    answers: Mapping[str, Answered] | None = None,
    damaged: Mapping[str, str] | None = None,
    command: str | None = None,
) -> Why:
    """The part of any explanations, with or without a run.

    Args:
        found: explanations with their evidence, where there is any.
        answers: what the network answers, by the images' names.
        damaged: by method, why something cannot be shown.
        command: what to do where methods are not checked.
    """
    shown, left_out = found[:MOST_METHODS], found[MOST_METHODS:]
    unchecked = damaged or any(item.verdict == NOT_CHECKED for item in shown)
    return Why(
        groups=tuple(_group(items, answers or {}) for items in _alike(shown)),
        left_out=tuple(item.explanation.method for item in left_out),
        damaged=tuple((damaged or {}).items()),
        remedy=say("why.remedy", command=command) if unchecked and command else None,
    )


def _alike(found: Sequence[Kept]) -> list[list[Kept]]:
    """Explanations of the same images and classes stand together."""
    groups: list[list[Kept]] = []
    for item in found:
        for group in groups:
            if _same(group[0].explanation, item.explanation):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def _same(a: Explanation, b: Explanation) -> bool:
    against = [item.against is not None and item.against.tolist() for item in (a, b)]
    return (
        a.names == b.names
        and a.targets.tolist() == b.targets.tolist()
        and against[0] == against[1]
        and np.array_equal(a.inputs, b.inputs)
    )


def _group(items: Sequence[Kept], answers: Mapping[str, Answered]) -> Group:
    first = items[0].explanation
    chosen = spread(len(first), MOST_IMAGES)
    return Group(
        images=len(first),
        rows=_rows(first.rows(chosen), answers),
        methods=tuple(_method(item, chosen) for item in items),
        compared=_compared([{} if item.evidence is None or item.stale else item.evidence.measures for item in items]),
    )


def _compared(found: Sequence[Mapping[str, Measure]]) -> Compared | None:
    """The measures that at least one of several methods has; None where there is nothing to compare."""
    names = [name for name in CURVES if any(name in measures for measures in found)]
    if len(found) < 2 or not names:
        return None
    kinds = [next(measures[name] for measures in found if name in measures) for name in names]
    edges = [_common([_mean(measures[name], "edge") for measures in found if name in measures]) for name in names]
    return Compared(
        columns=tuple((_measure_name(name), kind.better) for name, kind in zip(names, kinds, strict=True)),
        cells=tuple(tuple(_cell(measures.get(name)) for name in names) for measures in found),
        edges=tuple(edges),
    )


def _common(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return known[0] if len(known) == len(values) and max(known) - min(known) < ROUNDING else None


def _cell(measure: Measure | None) -> Cell:
    return Cell(None, None) if measure is None else Cell(measure.mean, _mean(measure, "random"))


def _mean(measure: Measure, control: str) -> float | None:
    return measure.controls[control].mean if control in measure.controls else None


def _rows(explanation: Explanation, answers: Mapping[str, Answered]) -> tuple[Row, ...]:
    def named(index: int) -> str:
        return explanation.classes[index] if index < len(explanation.classes) else str(index)

    rows = []
    for at, pixels in enumerate(display_pixels(explanation)):
        target = named(int(explanation.targets[at]))
        chance = None if explanation.probabilities is None else float(explanation.probabilities[at])
        known = Answered(None, () if chance is None else ((target, chance),))
        rows.append(
            Row(
                name=explanation.names[at],
                pixels=_shrunk(pixels, Image.Resampling.LANCZOS),
                target=target,
                against=None if explanation.against is None else named(int(explanation.against[at])),
                answered=answers.get(explanation.names[at], known),
            )
        )
    return tuple(rows)


def _method(item: Kept, chosen: Sequence[int]) -> Method:
    explanation = item.explanation
    evidence = None if item.stale else item.evidence
    gains = None if evidence is None else _gains(evidence)
    known = METHODS.get(explanation.method)
    measures = {} if evidence is None else evidence.measures
    return Method(
        name=explanation.method,
        title=None if known is None else known.title,
        layer=explanation.layer,
        verdict=VERDICT_KEYS[item.verdict],
        signed=bool((explanation.maps < 0).any()),
        maps=tuple(_map(explanation.maps[at], None if gains is None else float(gains[at])) for at in chosen),
        controls=() if evidence is None else _controls(explanation, evidence, chosen[:MOST_CONTROLS]),
        gain=None if evidence is None else evidence.advantage,
        gain_interval=None if evidence is None else evidence.advantage_interval,
        p_value=None if evidence is None else evidence.p_value,
        reasons=tuple(_reasons(item)),
        figures=tuple(Figure(_measure_name(name), _unit(name, one), one) for name, one in measures.items()),
        curves=tuple(_curve(name, measures[name]) for name in CURVES if name in measures),
        protocols=tuple((_measure_name(name), _plain(one.protocol)) for name, one in measures.items()),
        skipped=() if evidence is None else tuple((_measure_name(n), why) for n, why in evidence.skipped.items()),
        notes=explanation.notes if evidence is None else evidence.notes,
        facts=tuple(_facts(explanation)),
    )


def _map(values: np.ndarray, gain: float | None = None) -> Map:
    small = _shrunk(values.astype(np.float32)[..., None], Image.Resampling.BOX)[..., 0]
    full = float(np.quantile(np.abs(small), FULL_COLOUR)) or float(np.abs(small).max())
    return Map(small, float(values.min()), float(values.max()), full, gain)


def _controls(explanation: Explanation, evidence: Evidence, chosen: Sequence[int]) -> tuple[tuple[Map, Map], ...]:
    random, edge = controls.control_maps(explanation, evidence.seed)
    return tuple((_map(random[at]), _map(edge[at])) for at in chosen if at < len(random))


def _gains(evidence: Evidence) -> np.ndarray | None:
    """float64 `(n,)`: what each image's map gains over random maps."""
    parts = [
        controls.oriented(measure.values - measure.controls["random"].values, measure.better)
        for name, measure in evidence.measures.items()
        if name in FAITHFULNESS and "random" in measure.controls
    ]
    return np.mean(parts, axis=0) if parts else None


def _reasons(item: Kept) -> list[Text]:
    """The verdict's reasons, in every language: `Evidence.reasons` are in one."""
    evidence = item.evidence
    if item.stale:
        return [say("why.stale")]
    if evidence is None:
        return [say("why.nothing_measured")]
    reasons = [_gain_text(evidence)]
    randomised = evidence.measures.get("randomisation")
    if randomised is None:
        reasons.append(say("why.sanity_unmade"))
    else:
        kind = "failed" if randomised.mean >= sanity.ALIKE else "passed"
        reasons.append(say(f"why.sanity_{kind}", likeness=randomised.mean, limit=sanity.ALIKE))
    beaten = tuple(
        _measure_name(name)
        for name, measure in evidence.measures.items()
        if name in FAITHFULNESS and "edge" in measure.controls and measure.controls["edge"].advantage_interval.high < 0
    )
    if beaten:
        reasons.append(say("why.edges", measures=beaten))
    return reasons


def _gain_text(evidence: Evidence) -> Text:
    interval, p_value = evidence.advantage_interval, evidence.p_value
    if evidence.advantage is None or interval is None or p_value is None:
        return say("why.no_faithfulness")
    made = tuple(_measure_name(name) for name in evidence.measures if name in FAITHFULNESS)
    low, high = interval
    return say(
        "why.gain", gain=evidence.advantage, low=low, high=high, p=p_value, measures=made, images=len(evidence.names)
    )


def _measure_name(name: str) -> Text:
    return say(f"measure.{name}")


def _unit(name: str, measure: Measure) -> Text:
    score = measure.protocol.get("score", "probability")
    if name == "infidelity":
        return say(f"why.unit_{score}_squared")
    if name in FAITHFULNESS or name == "completeness":
        return say(f"why.unit_{score}")
    return say({"max_sensitivity": "why.unit_change", "randomisation": "why.unit_likeness"}.get(name, "why.unit_share"))


def _curve(name: str, measure: Measure) -> Curve:
    assert measure.curve is not None
    share = say("why.share_random" if name == "randomisation" else f"why.share_{name}")
    return Curve(_measure_name(name), measure.curve, measure.columns[1:], share)


def _plain(values: Mapping[str, Any]) -> str:
    """A protocol on one line: `steps 20 · baseline constant`."""
    return " · ".join(f"{key} {_short(value)}" for key, value in values.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else " ".join(to_json(value).split())


def _facts(explanation: Explanation) -> list[tuple[Text, str]]:
    facts = [(say("why.layer"), explanation.layer)] if explanation.layer else []
    if settings := {**explanation.options, **explanation.used}:
        facts.append((say("why.options"), _plain(settings)))
    facts.append((say("why.cost"), f"{explanation.evaluations:,}"))
    facts.append((say("why.seed"), str(explanation.seed)))
    return facts


def _answers(material: Material) -> dict[str, Answered]:
    """What the run answered to its validation images."""
    answers = material.answers.get("validation")
    if answers is None:
        return {}
    found = {}
    for at, index in enumerate(answers.index.tolist()):
        best = np.argsort(-answers.probabilities[at], kind="stable")[:BEST]
        shares = tuple(
            (material.classes[c], float(answers.probabilities[at, c]))
            for place, c in enumerate(best)
            if place == 0 or answers.probabilities[at, c] >= LEAST
        )
        found[material.name(index)] = Answered(material.classes[int(answers.label[at])], shares)
    return found


def _shrunk(values: np.ndarray, how: Image.Resampling) -> np.ndarray:
    """`(h, w, c)`, uint8 or one channel of float32, with a longer side of at most `SIDE`."""
    height, width, channels = values.shape
    if max(height, width) <= SIDE:
        return values
    size = (max(1, round(width * SIDE / max(height, width))), max(1, round(height * SIDE / max(height, width))))
    picture = Image.fromarray(values[..., 0] if channels == 1 else values)
    return np.asarray(picture.resize(size, how)).reshape(size[1], size[0], channels)
