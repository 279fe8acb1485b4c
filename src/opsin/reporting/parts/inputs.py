"""What the network gets: originals beside its input, and the first training batch as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.reporting.parts.material import Material, Missing, Thumbnail, spread
from opsin.reporting.texts import Text, say

MOST_PAIRS = 8
THUMBNAIL = 224  # pixels
MUCH_LOST = 100  # original pixels that become one
MIXED_ABOVE = 1e-3  # share that float rounding cannot explain


@dataclass(frozen=True)
class Pair:
    """A probe image: what the network gets, uint8 `(h, w, c)`, beside its original, where that is still there.
    `ratio` is the number of original pixels that become one (below 1: the original was enlarged)."""

    name: str
    label: str | None
    seen: np.ndarray
    original: Thumbnail | None
    ratio: float | None


@dataclass(frozen=True)
class Trained:
    """An image of the first batch after augmentation, uint8 `(h, w, c)`, with its target: classes and shares."""

    pixels: np.ndarray
    target: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Inputs:
    """Both, with what has to be said about them. `mixed` counts batch images whose target has several classes."""

    pairs: tuple[Pair, ...]
    missing: Text | None
    loss: Text | None
    batch: tuple[Trained, ...]
    mixed: int


def inputs(material: Material) -> Inputs | Missing:
    """What the network gets; it needs the probe or a kept batch."""
    run = material.run
    probe, batch = run.probe, run.batch
    if probe is None and batch is None:
        return Missing(say("inputs.missing"), say("inputs.remedy"))
    pairs = [] if probe is None else [_pair(material, i) for i in spread(len(probe.images), MOST_PAIRS)]
    ratios = [pair.ratio for pair in pairs if pair.ratio is not None]
    smoothed = run.info.get("recipe", {}).get("label_smoothing", 0.0) / max(len(material.classes), 1)
    trained = () if batch is None else tuple(
        Trained(pixels, _target(target, material.classes, smoothed))
        for pixels, target in zip(batch.images, batch.targets, strict=True)
    )  # fmt: skip
    return Inputs(
        pairs=tuple(pairs),
        missing=material.data_missing,
        loss=_loss_text(float(np.median(ratios))) if ratios else None,
        batch=trained,
        mixed=sum(len(item.target) > 1 for item in trained),
    )


def _pair(material: Material, position: int) -> Pair:
    probe, classes = material.run.probe, material.classes
    assert probe is not None
    index, label = int(probe.indices[position]), int(probe.labels[position])
    original = None if material.foreign else material.thumbnail(index, THUMBNAIL)
    ratio = None
    if original is not None and material.run.preprocess is not None:
        top, left, bottom, right = material.run.preprocess.geometry(original.size)
        ratio = (bottom - top) * (right - left) / (material.run.preprocess.height * material.run.preprocess.width)
    return Pair(
        name=material.name(index),
        label=classes[label] if 0 <= label < len(classes) else None,
        seen=probe.images[position],
        original=original,
        ratio=ratio,
    )


def _loss_text(ratio: float) -> Text:
    if ratio >= MUCH_LOST:
        return say("inputs.much_lost", ratio=ratio)
    if ratio > 1.05:
        return say("inputs.lost", ratio=ratio)
    return say("inputs.enlarged", ratio=1 / ratio) if ratio < 0.95 else say("inputs.same")


def _target(shares: np.ndarray, classes: tuple[str, ...], smoothed: float) -> tuple[tuple[str, float], ...]:
    """The classes of a target, the largest share first. `smoothed` is what label smoothing alone gives every class;
    only a class with more than that was mixed in."""
    order = np.argsort(-shares, kind="stable")
    mixed_in = [c for c in order if shares[c] > smoothed + MIXED_ABOVE]
    return tuple((classes[c], float(shares[c])) for c in mixed_in)
