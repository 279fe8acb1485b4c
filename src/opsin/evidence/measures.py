"""The measures by name, and those of single images: values of the maps, of random maps and of the edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opsin.evidence import controls, faithfulness, localisation, road, stability
from opsin.evidence.subject import Subject
from opsin.inference.answers import Progress, batch_size

# Which direction is better. The first four are faithfulness: the verdict rests on them.
MEASURES = {
    "deletion": "lower", "insertion": "higher", "road_morf": "lower", "road_lerf": "higher", "infidelity": "lower",
    "max_sensitivity": "lower", "completeness": "lower", "randomisation": "lower", "grid_pointing": "higher",
    "pointing": "higher", "energy": "higher",
}  # fmt: skip
FAITHFULNESS = ("deletion", "insertion", "road_morf", "road_lerf")
REGIONAL = ("pointing", "energy")


@dataclass(frozen=True)
class Settings:
    """What was asked for: steps, the baselines of deletion and insertion, pixels of tolerance in the pointing game, and
    the seed of every draw."""

    steps: int
    deletion: faithfulness.Baseline
    insertion: faithfulness.Baseline
    tolerance: int
    seed: int


@dataclass(frozen=True)
class Block:
    """Some of the images: their maps and the controls' `(m, n, h, w)`, the ranks of the places, and the regions."""

    subject: Subject
    stack: Tensor
    order: Tensor
    regions: np.ndarray | None


@dataclass(frozen=True)
class Raw:
    """Values `(m, n)`, and the curves behind them `(m, n, points)`."""

    values: np.ndarray
    curve: np.ndarray | None = None


def measure_images(
    subject: Subject, maps: np.ndarray, wanted: Sequence[str], settings: Settings, regions: np.ndarray | None,
    progress: Progress | None,
) -> dict[str, Raw]:  # fmt: skip
    """The measures of PER_IMAGE that are wanted, a bounded number of images at a time, each beside as many random maps
    as their number asks for and the edges of the images."""
    names = [name for name in wanted if name in PER_IMAGE]
    if not names:
        return {}
    images = len(subject)
    randoms = controls.random_maps_for(images)
    # every purpose draws from its own stream: what a measure gives does not depend on which others are made
    streams = {name: controls.stream(settings.seed, name) for name in ("maps", "ties", *names)}
    parts: dict[str, list[Raw]] = {name: [] for name in names}
    step = batch_size(subject.inputs[0].numel())
    for start in range(0, images, step):
        rows = slice(start, start + step)
        some = subject.part(rows)
        own = torch.from_numpy(maps[rows]).to(subject.inputs.device)
        stack = controls.stack_maps(own, some.inputs, randoms, streams["maps"])
        order = faithfulness.ranks(stack, streams["ties"])
        block = Block(some, stack, order, None if regions is None else regions[rows])
        for name in names:
            parts[name].append(PER_IMAGE[name](block, settings, streams[name]))
            if progress is not None:
                progress(f"measuring {name}", min(start + step, images), images)
    return {name: _joined(found) for name, found in parts.items()}


def _deletion(block: Block, settings: Settings, _: torch.Generator) -> Raw:
    base = faithfulness.baseline_of(block.subject.inputs, settings.deletion)
    return _area(faithfulness.curves(block.subject, block.stack, block.order, base, settings.steps, insert=False))


def _insertion(block: Block, settings: Settings, _: torch.Generator) -> Raw:
    base = faithfulness.baseline_of(block.subject.inputs, settings.insertion)
    return _area(faithfulness.curves(block.subject, block.stack, block.order, base, settings.steps, insert=True))


def _road(block: Block, _: Settings, stream: torch.Generator, *, least_first: bool) -> Raw:
    curve = road.curves(block.subject, block.order, stream, least_first=least_first)
    return Raw(curve.mean(dim=-1).numpy(), curve.numpy())


def _infidelity(block: Block, _: Settings, stream: torch.Generator) -> Raw:
    return Raw(stability.infidelity(block.subject, block.stack, stream).numpy())


def _pointing(block: Block, settings: Settings, _: torch.Generator) -> Raw:
    assert block.regions is not None
    return Raw(localisation.pointing(block.stack.cpu().numpy(), block.regions, settings.tolerance))


def _energy(block: Block, _: Settings, __: torch.Generator) -> Raw:
    assert block.regions is not None
    return Raw(localisation.energy(block.stack.cpu().numpy(), block.regions))


PER_IMAGE: dict[str, Callable[[Block, Settings, torch.Generator], Raw]] = {
    "deletion": _deletion,
    "insertion": _insertion,
    "road_morf": partial(_road, least_first=False),
    "road_lerf": partial(_road, least_first=True),
    "infidelity": _infidelity,
    "pointing": _pointing,
    "energy": _energy,
}


def protocol_of(name: str, subject: Subject, settings: Settings, randoms: int) -> dict[str, Any]:
    """What a measure of PER_IMAGE depends on."""
    if name in REGIONAL:
        watched: dict[str, Any] = {"tolerance": settings.tolerance} if name == "pointing" else {}
    else:
        watched = {"score": subject.score, **({} if subject.engine is None else subject.engine.used)}
    own: dict[str, Any] = {}
    if name in ("deletion", "insertion"):
        own = faithfulness.protocol(getattr(settings, name), settings.steps, subject.size)
    elif name in ("road_morf", "road_lerf"):
        own = road.protocol()
    elif name == "infidelity":
        own = stability.protocol()
    return {**own, **watched, "random_maps": randoms, "random": "the map's values and amplitudes, random phases"}


def mean_curve(name: str, curves: np.ndarray) -> np.ndarray:
    """float64 `(points, 4)`: the share of places changed; the mean score of the explanation, random maps, edges."""
    points = curves.shape[-1]
    shares = np.linspace(0, 1, points) if name in ("deletion", "insertion") else np.arange(1, points + 1) / (points + 1)
    means = curves.mean(axis=1)
    return np.stack([shares, means[0], means[1:-1].mean(axis=0), means[-1]], axis=1)


def _area(curve: Tensor) -> Raw:
    return Raw(faithfulness.area_under(curve).numpy(), curve.numpy())


def _joined(parts: Sequence[Raw]) -> Raw:
    curves = [part.curve for part in parts if part.curve is not None]
    return Raw(
        np.concatenate([part.values for part in parts], axis=1), np.concatenate(curves, axis=1) if curves else None
    )
