"""`opsin.check`: how far an Explanation can be trusted."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from opsin.errors import OpsinError, did_you_mean
from opsin.evidence import controls, faithfulness, localisation, sanity
from opsin.evidence.measures import (
    FAITHFULNESS,
    MEASURES,
    PER_IMAGE,
    REGIONAL,
    Raw,
    Settings,
    mean_curve,
    measure_images,
    protocol_of,
)
from opsin.evidence.redrawn import DRAWN_AGAIN, Again, CannotMeasure
from opsin.evidence.subject import Score, Subject, subject_of
from opsin.evidence.verdict import judge
from opsin.explanation.explain import as_classifier
from opsin.inference.answers import Progress
from opsin.inference.engines.engine import open_engine
from opsin.models.classifier import Classifier
from opsin.records import Evidence, Explanation, Measure

PASSES = 80  # about so many changed copies of each image are scored for a measure: steps times maps
FEW = 10  # images, below which intervals come with a note
KEPT = 0.9  # share of the score that a baseline keeps by itself, from which on taking places away tells little


def check(
    explanation: Explanation,
    model: Classifier | str | Path | nn.Module,
    *,
    measures: Sequence[str] | None = None,
    steps: int = 20,
    baseline: faithfulness.Baseline | None = None,
    score: Score = "probability",
    regions: Any = None,
    tolerance: int = 0,
    method: Callable[..., Any] | None = None,
    engine: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
) -> Evidence:
    """Measure how faithful an Explanation is to its model, beside random maps and the edges of the images.

    The verdict rests on deletion, insertion and ROAD together, against random maps of the same values and smoothness
    (exact permutation test, 5 %), and on model randomisation.

    Args:
        explanation: what `explain` returned, one of the list where it returned several.
        model: the model that was explained.
        measures: names of MEASURES; None: all that can be made.
        steps: of deletion and insertion.
        baseline: "constant" (zero in the preprocessed input) or "blurred"; None: constant for deletion and blurred for
            insertion, as in the paper.
        score: "probability" or "logit": what is watched while places are taken away.
        regions: where the object is, for the pointing game and the energy: bool `(n, h, w)`, or boxes `(n, 4)`: top,
            left, bottom, right in input pixels.
        tolerance: pixels beside the region that still count in the pointing game.
        method: the function that drew the maps, where it was a person's own.
        engine: what runs the model on changed images: auto, eager, fused or onnxruntime; used once it was seen to agree
            with eager on the images themselves.
        seed: of every draw.
        progress: told what is measured, how many measures are done, and how many there are.

    Returns:
        The Evidence. Measures that cannot be made are listed in `skipped` with the reason.

    Raises:
        OpsinError: the explanation is of another model, or an argument is wrong.
    """
    began = time.perf_counter()
    wanted = _wanted(measures, regions)
    settings = _settings(explanation, steps, baseline, tolerance, seed)
    classifier = as_classifier(model)
    subject = subject_of(explanation, classifier, score)
    per_image = [name for name in wanted if name in PER_IMAGE]
    if per_image:
        opened = open_engine(classifier, subject.inputs, engine, evaluations=PASSES * len(per_image))
        subject = dataclasses.replace(subject, engine=opened)
    places = None if regions is None else localisation.as_regions(regions, len(subject), subject.size)
    again = Again(explanation, classifier, method)
    found: dict[str, Measure] = {}
    skipped: dict[str, str] = {}
    raw = measure_images(subject, explanation.maps, wanted, settings, places, progress)
    for done, name in enumerate(wanted):
        if progress is not None:
            progress(f"measuring {name}", done, len(wanted))
        try:
            found[name] = _finish(name, raw.get(name), explanation, subject, again, settings)
        except CannotMeasure as reason:
            skipped[name] = str(reason)
    overall = _overall({name: item.values for name, item in raw.items()})
    advantage = None if overall is None else controls.mean_interval(overall[0] - overall[1:-1].mean(axis=0), seed)
    p_value = None if overall is None else controls.permutation_test(overall[:-1], seed)
    randomised = found.get("randomisation")
    gain = None if advantage is None else advantage[0]
    measured = [name for name in FAITHFULNESS if name in raw]
    return Evidence(
        verdict=judge(p_value, None if randomised is None else randomised.mean),
        reasons=_reasons(gain, p_value, measured, randomised),
        measures=found,
        skipped=skipped,
        method=explanation.method,
        layer=explanation.layer,
        model=classifier.label,
        names=explanation.names,
        advantage=gain,
        advantage_interval=None if advantage is None else advantage[1],
        p_value=p_value,
        seed=seed,
        seconds=time.perf_counter() - began,
        notes=(*explanation.notes, *_notes(len(explanation), found)),
    )


def _wanted(measures: Sequence[str] | None, regions: Any) -> list[str]:
    if measures is None:
        return [name for name in MEASURES if regions is not None or name not in REGIONAL]
    names = [measures] if isinstance(measures, str) else list(measures)
    if not names:
        raise OpsinError(f"no measures were given; choose among {', '.join(MEASURES)}")
    for name in names:
        if name not in MEASURES:
            near = did_you_mean(name, list(MEASURES))
            raise OpsinError(f"there is no measure {name!r}{near}; there are {', '.join(MEASURES)}")
        if name in REGIONAL and regions is None:
            raise OpsinError(f"{name} needs to know where the object is; give regions= masks (n, h, w) or boxes (n, 4)")
    return [name for name in MEASURES if name in names]


def _settings(
    explanation: Explanation, steps: int, baseline: faithfulness.Baseline | None, tolerance: int, seed: int
) -> Settings:
    if not isinstance(explanation, Explanation):
        raise OpsinError(
            f"check was given a {type(explanation).__name__}; expected one Explanation, such as explain(...)[0]"
        )
    places = explanation.inputs.shape[-2] * explanation.inputs.shape[-1]
    if not 1 <= steps <= places:
        raise OpsinError(f"steps was given as {steps}; expected 1 to {places}, the number of places of an image")
    if baseline is not None and baseline not in faithfulness.BASELINES:
        raise OpsinError(f"baseline was given as {baseline!r}; expected {' or '.join(faithfulness.BASELINES)}")
    if seed < 0:
        raise OpsinError(f"seed was given as {seed}; expected 0 or more")
    if tolerance < 0:
        raise OpsinError(f"tolerance was given as {tolerance}; expected 0 or more pixels")
    return Settings(steps, baseline or "constant", baseline or "blurred", tolerance, seed)


def _finish(
    name: str, raw: Raw | None, explanation: Explanation, subject: Subject, again: Again, settings: Settings
) -> Measure:
    if raw is not None:
        curve = None if raw.curve is None else mean_curve(name, raw.curve)
        columns = () if curve is None else ("share", "explanation", "random", "edge")
        described = protocol_of(name, subject, settings, len(raw.values) - 2)
        return controls.measure(raw.values, MEASURES[name], described, settings.seed, curve=curve, columns=columns)
    if name == "completeness":
        return _completeness(explanation, settings)
    try:
        return DRAWN_AGAIN[name](subject, again, settings)
    except OpsinError as error:
        # a changed network, input or mosaic may be what the method refuses, and says why
        raise CannotMeasure(str(error)) from error


def _completeness(explanation: Explanation, settings: Settings) -> Measure:
    if explanation.completeness is None:
        raise CannotMeasure(f"{explanation.method} does not promise that its map adds up to the score")
    gap = np.abs(explanation.completeness.astype(np.float64))
    change = np.abs(explanation.maps.sum(axis=(1, 2), dtype=np.float64) - explanation.completeness)
    described = {"score": "logit", "value": "|sum of the map - change of the score|", "mean_change": change.mean()}
    return controls.measure(gap, MEASURES["completeness"], described, settings.seed)


def _overall(raw: dict[str, np.ndarray]) -> np.ndarray | None:
    """float64 `(m, n)`: the mean over the measures of faithfulness, higher better; None where none was made."""
    faithful = [controls.oriented(raw[name], MEASURES[name]) for name in FAITHFULNESS if name in raw]
    return np.mean(faithful, axis=0) if faithful else None


def _reasons(
    gain: float | None, p_value: float | None, measured: Sequence[str], randomised: Measure | None
) -> tuple[str, ...]:
    """What the verdict rests on, in words."""
    reasons = [
        f"none of the measures of faithfulness was made: {', '.join(FAITHFULNESS)}"
        if gain is None or p_value is None
        else f"score gained over random maps in {', '.join(measured)}: {gain:+.3f} (p = {p_value:.2g})"
    ]
    if randomised is None:
        reasons.append("the sanity check was not made")
    else:
        change = "stay alike" if randomised.mean >= sanity.ALIKE else "change"
        reasons.append(
            f"as the weights are randomised, layer by layer, the maps {change}: likeness {randomised.mean:.2f} (fails "
            f"from {sanity.ALIKE})"
        )
    return tuple(reasons)


def _notes(images: int, found: dict[str, Measure]) -> list[str]:
    notes = []
    if images < FEW:
        notes.append(
            f"intervals over {images} image{'s' * (images > 1)} say little about others; explain {FEW} or more"
        )
    for name in ("deletion", "insertion"):
        curve = found[name].curve if name in found else None
        if curve is None:
            continue
        full, base = (curve[0, 1], curve[-1, 1])[:: 1 if name == "deletion" else -1]
        if full > 0 and base >= KEPT * full:
            kind = found[name].protocol["baseline"]
            notes.append(
                f"{name} tells little: the {kind} baseline alone keeps {100 * base / full:.0f} % of the score; choose "
                "the other baseline"
            )
    return notes
