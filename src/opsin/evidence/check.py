"""`opsin.check`: how far an Explanation can be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from opsin.errors import OpsinError, did_you_mean
from opsin.evidence import controls, faithfulness, localisation, road, sanity, stability
from opsin.evidence.agreement import spearman
from opsin.evidence.subject import Score, Subject, explain_again, explain_classes, subject_of
from opsin.explanation.explain import as_classifier
from opsin.explanation.methods import METHODS
from opsin.inference.answers import Progress, batch_size
from opsin.models.classifier import Classifier
from opsin.records import (
    BETTER_THAN_RANDOM,
    FAILS_SANITY,
    NO_BETTER_THAN_RANDOM,
    NOT_CHECKED,
    Evidence,
    Explanation,
    Measure,
)

# Which direction is better. The first four are faithfulness: the verdict rests on them.
MEASURES = {
    "deletion": "lower", "insertion": "higher", "road_morf": "lower", "road_lerf": "higher", "infidelity": "lower",
    "max_sensitivity": "lower", "completeness": "lower", "randomisation": "lower", "grid_pointing": "higher",
    "pointing": "higher", "energy": "higher",
}  # fmt: skip
FAITHFULNESS = ("deletion", "insertion", "road_morf", "road_lerf")
REGIONAL = ("pointing", "energy")
EXPLAINED_AGAIN = 16  # images for the measures that draw maps again and again
SAME_MAP, SAME_RANDOM_MAP = 0.9, 0.5  # rank correlation with the map drawn again; of a stochastic method
FEW = 10  # images, below which intervals come with a note
KEPT = 0.9  # share of the score that a baseline keeps by itself, from which on taking places away tells little


@dataclass(frozen=True)
class _Settings:
    steps: int
    deletion: faithfulness.Baseline
    insertion: faithfulness.Baseline
    tolerance: int
    seed: int


@dataclass(frozen=True)
class _Block:
    """Some of the images: their maps and the controls' `(m, n, h, w)`, the ranks of the places, and the regions."""

    subject: Subject
    stack: Tensor
    order: Tensor
    regions: np.ndarray | None


@dataclass(frozen=True)
class _Raw:
    """Values `(m, n)`, and the curves behind them `(m, n, points)`."""

    values: np.ndarray
    curve: np.ndarray | None = None


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
    places = None if regions is None else localisation.as_regions(regions, len(subject), subject.size)
    again = _Again(explanation, classifier, method)
    found: dict[str, Measure] = {}
    skipped: dict[str, str] = {}
    raw = _blockwise(subject, explanation.maps, wanted, settings, places, progress)
    for done, name in enumerate(wanted):
        if progress is not None:
            progress(f"measuring {name}", done, len(wanted))
        try:
            found[name] = _finish(name, raw.get(name), explanation, subject, again, settings)
        except _CannotMeasure as reason:
            skipped[name] = str(reason)
    overall = _overall({name: item.values for name, item in raw.items()})
    verdict, reasons, p_value = _verdict(overall, found.get("randomisation"), seed)
    advantage = None if overall is None else controls.mean_interval(overall[0] - overall[1:-1].mean(axis=0), seed)
    return Evidence(
        verdict=verdict,
        reasons=reasons,
        measures=found,
        skipped=skipped,
        method=explanation.method,
        layer=explanation.layer,
        model=classifier.label,
        names=explanation.names,
        advantage=None if advantage is None else advantage[0],
        advantage_interval=None if advantage is None else advantage[1],
        p_value=p_value,
        seed=seed,
        seconds=time.perf_counter() - began,
        notes=(*explanation.notes, *_notes(len(explanation), found)),
    )


class _CannotMeasure(Exception):
    """Why a measure cannot be made of this explanation."""


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
) -> _Settings:
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
    return _Settings(steps, baseline or "constant", baseline or "blurred", tolerance, seed)


class _Again:
    """Draws an Explanation's maps again, of its first images; once for all measures that do."""

    def __init__(self, explanation: Explanation, model: Classifier, method: Callable[..., Any] | None) -> None:
        self.explanation, self.model = explanation, model
        self.method = method or explanation.method
        self.rows = slice(0, EXPLAINED_AGAIN)
        self._maps: np.ndarray | None = None

    def draw(self, inputs: Tensor, model: Classifier | None = None) -> np.ndarray:
        """float32 `(n, h, w)`: the maps of (changed) inputs of the first images."""
        return explain_again(self.explanation, model or self.model, inputs, self.rows, self.method)

    def draw_cells(self, mosaics: localisation.Mosaics) -> np.ndarray:
        """float32 `(k, 4, h, w)`: the maps of the class in each cell, four in one pass."""
        return explain_classes(self.explanation, self.model, mosaics.inputs, mosaics.targets, self.method)

    def maps(self, subject: Subject) -> np.ndarray:
        """The maps of the unchanged inputs and network, which must be the explanation's own."""
        if isinstance(self.method, str) and self.method not in METHODS:
            raise _CannotMeasure(f"{self.method} is a function of your own; give it as method=")
        if self._maps is None:
            self._maps = self.draw(subject.inputs[self.rows])
        known = METHODS.get(self.explanation.method)
        least = SAME_RANDOM_MAP if known is not None and known.stochastic else SAME_MAP
        alike = float(spearman(self.explanation.maps[self.rows], self._maps).mean())
        if alike < least:
            raise _CannotMeasure(
                f"the maps are not those that {self.explanation.method} gives for this model and these inputs (rank "
                f"correlation {alike:.2f})"
            )
        return self._maps


def _blockwise(
    subject: Subject, maps: np.ndarray, wanted: Sequence[str], settings: _Settings, regions: np.ndarray | None,
    progress: Progress | None,
) -> dict[str, _Raw]:  # fmt: skip
    """The measures of single images, a bounded number of images at a time."""
    names = [name for name in wanted if name in _PER_IMAGE]
    if not names:
        return {}
    images = len(subject)
    randoms = controls.random_maps_for(images)
    # every purpose draws from its own stream: what a measure gives does not depend on which others are made
    streams = {name: controls.stream(settings.seed, name) for name in ("maps", "ties", *names)}
    parts: dict[str, list[_Raw]] = {name: [] for name in names}
    step = batch_size(subject.inputs[0].numel())
    for start in range(0, images, step):
        rows = slice(start, start + step)
        some = subject.part(rows)
        own = torch.from_numpy(maps[rows]).to(subject.inputs.device)
        stack = controls.stack_maps(own, some.inputs, randoms, streams["maps"])
        order = faithfulness.ranks(stack, streams["ties"])
        block = _Block(some, stack, order, None if regions is None else regions[rows])
        for name in names:
            parts[name].append(_PER_IMAGE[name](block, settings, streams[name]))
            if progress is not None:
                progress(f"measuring {name}", min(start + step, images), images)
    return {name: _joined(found) for name, found in parts.items()}


def _deletion(block: _Block, settings: _Settings, _: torch.Generator) -> _Raw:
    base = faithfulness.baseline_of(block.subject.inputs, settings.deletion)
    return _area(faithfulness.curves(block.subject, block.stack, block.order, base, settings.steps, insert=False))


def _insertion(block: _Block, settings: _Settings, _: torch.Generator) -> _Raw:
    base = faithfulness.baseline_of(block.subject.inputs, settings.insertion)
    return _area(faithfulness.curves(block.subject, block.stack, block.order, base, settings.steps, insert=True))


def _road(block: _Block, _: _Settings, stream: torch.Generator, *, least_first: bool) -> _Raw:
    curve = road.curves(block.subject, block.order, stream, least_first=least_first)
    return _Raw(curve.mean(dim=-1).numpy(), curve.numpy())


def _infidelity(block: _Block, _: _Settings, stream: torch.Generator) -> _Raw:
    return _Raw(stability.infidelity(block.subject, block.stack, stream).numpy())


def _pointing(block: _Block, settings: _Settings, _: torch.Generator) -> _Raw:
    assert block.regions is not None
    return _Raw(localisation.pointing(block.stack.cpu().numpy(), block.regions, settings.tolerance))


def _energy(block: _Block, _: _Settings, __: torch.Generator) -> _Raw:
    assert block.regions is not None
    return _Raw(localisation.energy(block.stack.cpu().numpy(), block.regions))


_PER_IMAGE: dict[str, Callable[[_Block, _Settings, torch.Generator], _Raw]] = {
    "deletion": _deletion,
    "insertion": _insertion,
    "road_morf": partial(_road, least_first=False),
    "road_lerf": partial(_road, least_first=True),
    "infidelity": _infidelity,
    "pointing": _pointing,
    "energy": _energy,
}


def _finish(
    name: str, raw: _Raw | None, explanation: Explanation, subject: Subject, again: _Again, settings: _Settings
) -> Measure:
    if raw is not None:
        curve = None if raw.curve is None else _mean_curve(name, raw.curve)
        columns = () if curve is None else ("share", "explanation", "random", "edge")
        described = _protocol(name, subject, settings, len(raw.values) - 2)
        return controls.measure(raw.values, MEASURES[name], described, settings.seed, curve=curve, columns=columns)
    if name == "completeness":
        return _completeness(explanation, settings)
    try:
        return _DRAWN_AGAIN[name](subject, again, settings)
    except OpsinError as error:
        # a changed network, input or mosaic may be what the method refuses, and says why
        raise _CannotMeasure(str(error)) from error


def _completeness(explanation: Explanation, settings: _Settings) -> Measure:
    if explanation.completeness is None:
        raise _CannotMeasure(f"{explanation.method} does not promise that its map adds up to the score")
    gap = np.abs(explanation.completeness.astype(np.float64))
    change = np.abs(explanation.maps.sum(axis=(1, 2), dtype=np.float64) - explanation.completeness)
    described = {"score": "logit", "value": "|sum of the map - change of the score|", "mean_change": change.mean()}
    return controls.measure(gap, MEASURES["completeness"], described, settings.seed)


def _max_sensitivity(subject: Subject, again: _Again, settings: _Settings) -> Measure:
    maps = again.maps(subject)
    some = subject.part(again.rows)
    own = torch.from_numpy(maps).to(subject.inputs.device)
    values = stability.max_sensitivity(some, own, again.draw, controls.stream(settings.seed, "max_sensitivity"))
    described = {
        "source": "Yeh et al. 2019", "radius": stability.RADIUS, "samples": stability.NEIGHBOURS,
        "norm": "Frobenius, relative to the map's", "noise": "uniform, L-infinity", "images": len(some),
        "random_maps": 1,
    }  # fmt: skip
    return controls.measure(values, MEASURES["max_sensitivity"], described, settings.seed)


def _randomisation(subject: Subject, again: _Again, settings: _Settings) -> Measure:
    if next(subject.model.module.parameters(), None) is None:
        raise _CannotMeasure(f"{subject.model.label} has no parameters that could be randomised")
    inputs, maps = subject.inputs[again.rows], again.maps(subject)
    found = sanity.cascade(subject.model, inputs, maps, lambda other: again.draw(inputs, other), settings.seed)
    curve = np.stack([found.shares, found.rank.mean(axis=1), found.structure.mean(axis=1)], axis=1)
    return controls.measure(
        found.alike, MEASURES["randomisation"], sanity.protocol(found), settings.seed, curve=curve,
        columns=("share", "spearman", "ssim"),
    )  # fmt: skip


def _grid_pointing(subject: Subject, again: _Again, settings: _Settings) -> Measure:
    again.maps(subject)
    mosaics = localisation.build_mosaics(subject.model, subject.inputs, settings.seed)
    stream = controls.stream(settings.seed, "grid_pointing")
    edges = controls.edges(mosaics.inputs)
    cells = localisation.CELLS * len(mosaics.inputs)
    randoms = controls.random_maps_for(cells)

    def stack(maps: Tensor) -> Tensor:
        return torch.cat([maps[None], controls.random_maps(maps, randoms, stream), edges[None].to(maps)])

    values = localisation.grid_pointing(mosaics, again.draw_cells, stack)
    described = {
        "source": "Boehle et al. 2021", "mosaics": len(mosaics.inputs), "confidence": localisation.CONFIDENT,
        "images_halved": mosaics.halved, "chance": 1 / localisation.CELLS, "random_maps": randoms,
        "order": "top left of every mosaic, then top right, bottom left, bottom right",
    }  # fmt: skip
    return controls.measure(values, MEASURES["grid_pointing"], described, settings.seed)


_DRAWN_AGAIN: dict[str, Callable[[Subject, _Again, _Settings], Measure]] = {
    "max_sensitivity": _max_sensitivity,
    "randomisation": _randomisation,
    "grid_pointing": _grid_pointing,
}


def _protocol(name: str, subject: Subject, settings: _Settings, randoms: int) -> dict[str, Any]:
    if name in REGIONAL:
        watched: dict[str, Any] = {"tolerance": settings.tolerance} if name == "pointing" else {}
    else:
        watched = {"score": subject.score}
    own: dict[str, Any] = {}
    if name in ("deletion", "insertion"):
        own = faithfulness.protocol(getattr(settings, name), settings.steps, subject.size)
    elif name in ("road_morf", "road_lerf"):
        own = road.protocol()
    elif name == "infidelity":
        own = stability.protocol()
    return {**own, **watched, "random_maps": randoms, "random": "the map's values and amplitudes, random phases"}


def _overall(raw: dict[str, np.ndarray]) -> np.ndarray | None:
    """float64 `(m, n)`: the mean over the measures of faithfulness, higher better; None where none was made."""
    faithful = [controls.oriented(raw[name], MEASURES[name]) for name in FAITHFULNESS if name in raw]
    return np.mean(faithful, axis=0) if faithful else None


def _verdict(
    overall: np.ndarray | None, randomised: Measure | None, seed: int
) -> tuple[str, tuple[str, ...], float | None]:
    """The verdict, why, and the p-value that it rests on."""
    verdict, reasons, p_value = NOT_CHECKED, [], None
    if overall is None:
        reasons.append(f"none of the measures of faithfulness was made: {', '.join(FAITHFULNESS)}")
    else:
        p_value = controls.permutation_test(overall[:-1], seed)
        gain = float((overall[0] - overall[1:-1].mean(axis=0)).mean())
        verdict = BETTER_THAN_RANDOM if p_value <= controls.LEVEL else NO_BETTER_THAN_RANDOM
        reasons.append(
            f"score gained over random maps in deletion, insertion and ROAD: {gain:+.3f} (p = {p_value:.2g})"
        )
    if randomised is None:
        reasons.append("the sanity check was not made")
    else:
        failed = randomised.mean >= sanity.ALIKE
        verdict = FAILS_SANITY if failed else verdict
        reasons.append(
            f"as the weights are randomised, layer by layer, the maps {'stay alike' if failed else 'change'}: likeness "
            f"{randomised.mean:.2f} (fails from {sanity.ALIKE})"
        )
    return verdict, tuple(reasons), p_value


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


def _area(curve: Tensor) -> _Raw:
    return _Raw(faithfulness.area_under(curve).numpy(), curve.numpy())


def _joined(parts: Sequence[_Raw]) -> _Raw:
    curves = [part.curve for part in parts if part.curve is not None]
    return _Raw(
        np.concatenate([part.values for part in parts], axis=1), np.concatenate(curves, axis=1) if curves else None
    )


def _mean_curve(name: str, curves: np.ndarray) -> np.ndarray:
    """float64 `(points, 4)`: the share of places changed; the mean score of the explanation, random maps, edges."""
    points = curves.shape[-1]
    shares = np.linspace(0, 1, points) if name in ("deletion", "insertion") else np.arange(1, points + 1) / (points + 1)
    means = curves.mean(axis=1)
    return np.stack([shares, means[0], means[1:-1].mean(axis=0), means[-1]], axis=1)
