"""How faithful maps are: what a run keeps, and what is measured now."""

from __future__ import annotations

from typing import Any

import numpy as np

from opsin.errors import OpsinError
from opsin.evidence import controls
from opsin.evidence.check import check as check_maps
from opsin.evidence.held_out import IMAGES, check_run
from opsin.evidence.kept import Kept
from opsin.inference.answers import Progress
from opsin.records import Interval
from opsin.reporting.parts.material import spread
from opsin.reporting.parts.why import Figure, Method, why_of
from opsin.reporting.pictures.overlays import display_pixels
from opsin.reporting.views.quantised import quantise, shrink, spoken
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.why import as_target, explained

SHOWN = 4  # images whose maps lie beside their control maps


def evidence(subject: Subject, *, progress: Progress, method: str) -> dict[str, Any]:  # noqa: ARG001
    """What the run keeps of a method that was checked: see `evidence_of`.

    Raises:
        OpsinError: nothing of it is kept, or it cannot be used.
    """
    subject.need_run()
    found, damaged = subject.material.kept
    for item in found:
        if item.explanation.method == method:
            return evidence_of(item)
    if method in damaged:
        raise OpsinError(damaged[method])
    raise OpsinError(f"{subject.name} keeps nothing of {method}; check it first")


def check(
    subject: Subject,
    *,
    progress: Progress,
    method: str,
    images: list[str] | None = None,
    target: int | list[int] | None = None,
    layer: str | None = None,
    keep: bool = False,
) -> dict[str, Any]:
    """Measure how faithful a method's maps are to the network.

    Args:
        method: a name of METHODS.
        images: ids of the pictures whose maps are checked; nothing is written.
        target, layer: as in `why`.
        keep: instead of pictures that were chosen, check 32 validation images of the run, and keep maps and evidence
            in the run. Only for the predicted class.

    Returns:
        See `evidence_of`.

    Raises:
        OpsinError: the method refuses, or nothing can be kept.
    """
    if keep != (images is None) or (keep and target is not None):
        raise OpsinError(
            "keeping evidence takes the run's own validation images and their predicted classes; give either images or "
            "keep, and no target with keep"
        )
    if images is not None:
        explanation = explained(subject, method, images, as_target(target), layer, progress)
        return evidence_of(Kept(explanation, check_maps(explanation, subject.model, progress=progress)))
    (found,) = check_run(subject.need_run(), method, images=IMAGES, layer=layer, progress=progress)
    subject.forget(model=False)
    return evidence_of(found)


def evidence_of(item: Kept) -> dict[str, Any]:
    """Maps and what was measured of them, as they are sent. Texts are given by language.

    Returns:
        method, layer, title; `verdict`; `stale`; `names` of all images; over random maps `gain`, `gain_interval` [low,
        high] and `p_value`; reasons; `figures`: name, unit, value, low, high, better, and random and edge with value,
        advantage and interval; `curves`: name, share, columns, points float32; protocols; skipped; notes; facts;
        `shown`: of a few images names, pixels, maps, random, edges (see `quantise`).
    """
    explanation, evidence = item.explanation, None if item.stale else item.evidence
    method = why_of([item]).groups[0].methods[0]
    return {
        "method": method.name,
        "layer": method.layer,
        "title": method.title,
        "verdict": item.verdict,
        "stale": item.stale,
        "names": explanation.names,
        "gain": method.gain,
        "gain_interval": _ends(method.gain_interval),
        "p_value": method.p_value,
        "seconds": None if evidence is None else evidence.seconds,
        "reasons": [spoken(reason) for reason in method.reasons],
        "figures": [_figure(figure) for figure in method.figures],
        "curves": _curves(method),
        "protocols": [[spoken(name), text] for name, text in method.protocols],
        "skipped": [[spoken(name), text] for name, text in method.skipped],
        "notes": method.notes,
        "facts": [[spoken(name), text] for name, text in method.facts],
        "shown": _shown(item),
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _figure(figure: Figure) -> dict[str, Any]:
    measure = figure.measure
    beside = {
        name: {"value": control.mean, "advantage": control.advantage, "interval": list(control.advantage_interval)}
        for name, control in measure.controls.items()
    }
    return {
        "name": spoken(figure.name),
        "unit": spoken(figure.unit),
        "value": measure.mean,
        "low": measure.interval.low,
        "high": measure.interval.high,
        "better": measure.better,
        "random": beside.get("random"),
        "edge": beside.get("edge"),
    }


def _curves(method: Method) -> list[dict[str, Any]]:
    return [
        {
            "name": spoken(curve.name),
            "share": spoken(curve.share),
            "columns": curve.columns,
            "points": curve.points.astype(np.float32),
        }
        for curve in method.curves
    ]


def _shown(item: Kept) -> dict[str, Any]:
    """A few of the images with their maps and the control maps, as the check drew them."""
    explanation = item.explanation
    random, edges = controls.control_maps(explanation, 0 if item.evidence is None else item.evidence.seed)
    chosen = spread(min(len(explanation), len(random)), SHOWN)
    return {
        "names": [explanation.names[at] for at in chosen],
        "pixels": np.stack([shrink(one) for one in display_pixels(explanation.rows(chosen))]),
        "maps": quantise(explanation.maps[chosen]),
        "random": quantise(random[chosen]),
        "edges": quantise(edges[chosen]),
    }
