"""`opsin.inside.layers`: what becomes readable, what becomes abstract and what stays sensitive, layer by layer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from opsin.data.dataset import Dataset, Split
from opsin.errors import OpsinError
from opsin.explanation.explain import as_classifier
from opsin.explanation.inside.features import PIXELS, Pooling, list_layers, penultimate, read_layers
from opsin.explanation.inside.likeness import Likeness, measure_likeness
from opsin.explanation.inside.parts import require_layers, require_module
from opsin.explanation.inside.probing import FOLDS, STRENGTHS, fit_probe, reduced
from opsin.explanation.inside.stream import Stream, drawn, open_stream
from opsin.explanation.inside.transforms import read_transforms
from opsin.inference.answers import Progress
from opsin.inference.intervals import share_interval
from opsin.models.classifier import Classifier
from opsin.models.weights import bare
from opsin.records import LayerProbe, LayerProbes

MOST_TRAINED, MOST_VALIDATED, MOST_TRANSFORMED = 2000, 2000, 128
MOST_FEATURES = 512


def layers(
    model: Classifier | str | Path | nn.Module,
    data: Dataset,
    *,
    layers: Sequence[str] | None = None,
    transforms: Mapping[str, Sequence[float]] | None = None,
    most: int = MOST_TRAINED,
    transformed: int = MOST_TRANSFORMED,
    seed: int = 0,
    progress: Progress | None = None,
) -> LayerProbes:
    """Ask each layer, from the pixels on, how well a linear probe reads the class from it, and how alike an image and
    its shifted, rotated or scaled copy are there.

    Probes see means over regions of a layer, as fine a grid as 512 numbers allow, so that all layers are read from
    about equally many; they are fitted on training images and measured on validation images. The test images are not
    touched. Likeness is the cosine of centred features; transforms change the pixels, before normalising.

    Args:
        model: a Classifier with a Preprocess, or what `load_model` takes.
        data: a Dataset with training and validation images of at least two classes.
        layers: names, in any order. None: up to 12 over the whole depth, and what the last linear layer is given.
        transforms: amounts of `shift` (share of the shorter side, 0..0.5), `rotation` (degrees, 0..180) and `scale`
            (factor, 0.25..4); None: a few of each; {}: none.
        most: images that the probes are fitted on, and as many at most that they are measured on.
        transformed: validation images that are transformed.
        seed: of the draws.
        progress: told what is done, how many images are done, and how many there are.

    Returns:
        LayerProbes; `text()` says it in sentences.

    Raises:
        OpsinError: there is no such layer or transform, no labels, fewer than two classes, or too few images.
        CheckFailed: features are not finite.
    """
    classifier = require_module(as_classifier(model), "layers")
    asked = read_transforms(transforms)
    if most < 2 or transformed < 2 or seed < 0:
        raise OpsinError(
            f"most={most}, transformed={transformed} and seed={seed} were given; expected 2, 2 and 0 or more"
        )
    train, validation = _splits(classifier, data)
    fitted, measured, shown = (
        drawn(len(part), count, seed) for part, count in ((train, most), (validation, most), (validation, transformed))
    )
    named = _named(classifier, train, layers)
    features = [
        _pooled(classifier, part, rows, named, progress) for part, rows in ((train, fitted), (validation, measured))
    ]
    likeness = measure_likeness(classifier, validation, shown, named, asked, progress)
    assert train.labels is not None
    assert validation.labels is not None
    labels = train.labels[fitted], validation.labels[measured]
    groups = None if validation.groups is None else [validation.groups[at] for at in measured.tolist()]
    rows, notes = [], []
    for depth, name in enumerate(named):
        if progress is not None:
            progress("probing", depth + 1, len(named))
        row, remarks = _probe(depth, name, features, labels, groups, likeness[name], seed)
        rows.append(row)
        notes += remarks
    return LayerProbes(
        rows=tuple(rows),
        transforms=asked,
        classes=data.classes,
        chance=float(np.bincount(labels[1]).max() / len(labels[1])),
        trained=len(fitted),
        validated=len(measured),
        transformed=len(shown),
        seed=seed,
        protocol=_protocol(),
        notes=tuple(notes),
    )


def _splits(model: Classifier, data: Any) -> tuple[Stream, Stream]:
    if isinstance(data, Split):
        raise OpsinError(
            f"layers was given one split, {data.name}; expected the Dataset: probes are fitted on its training images "
            "and measured on its validation images"
        )
    if not isinstance(data, Dataset):
        raise OpsinError(
            f"layers was given {type(data).__name__} without labels; expected a Dataset, as load_data gives: probes "
            "learn from labels"
        )
    for split, least in ((data.train, FOLDS * 2), (data.validation, 2)):
        if len(split) < least:
            raise OpsinError(
                f"{data.name} has {len(split)} {split.name} images; expected at least {least} to fit and measure probes"
            )
    present = len(np.unique(data.train.labels))
    if present < 2:
        raise OpsinError(f"the training images of {data.name} are of one class; expected at least two to tell apart")
    return open_stream(model, data.train), open_stream(model, data.validation)


def _named(model: Classifier, stream: Stream, wanted: Sequence[str] | None) -> list[str]:
    """The layers in the order of computation, the pixels first."""
    one = stream.read(np.arange(1)).inputs
    if wanted is not None:
        names = require_layers(bare(model.module), wanted)
    else:
        names = list_layers(model, one)
        with contextlib.suppress(OpsinError):  # where the logits come from elsewhere, the list does without
            last = penultimate(model, one)
            names += [] if any(f"{name}.".startswith(f"{last}.") for name in names) else [last]
    ended: list[str] = []
    read_layers(model, one, list(dict.fromkeys(names)), lambda name, _: ended.append(name))
    last_runs = dict.fromkeys(reversed(ended))
    return [PIXELS, *reversed(list(last_runs))]


def _pooled(
    model: Classifier, stream: Stream, positions: np.ndarray, named: Sequence[str], progress: Progress | None
) -> dict[str, tuple[np.ndarray, str]]:
    """Per layer float32 `(n, f)` for the probes, and how they were pooled."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in named}
    pooling: Pooling | None = None
    done = 0
    for batch in stream.batches(positions):
        pooling = pooling or Pooling(model, (batch.inputs.shape[-2], batch.inputs.shape[-1]), MOST_FEATURES)
        for name, found in read_layers(model, batch.inputs, named, pooling).items():
            parts[name].append(found.cpu().numpy().copy())
        done += len(batch.positions)
        if progress is not None:
            progress("reading layers", done, len(positions))
    assert pooling is not None
    return {name: (np.concatenate(rows), pooling.how[name]) for name, rows in parts.items()}


def _probe(
    depth: int, name: str, features: Sequence[Mapping[str, tuple[np.ndarray, str]]],
    labels: tuple[np.ndarray, np.ndarray], groups: Sequence[str] | None, likeness: Likeness, seed: int,
) -> tuple[LayerProbe, list[str]]:  # fmt: skip
    train, how = features[0][name]
    measured = features[1][name][0]
    small, small_measured, projected = reduced(train, measured, MOST_FEATURES, seed)
    if projected:
        how += f", {train.shape[1]} features projected at random to {small.shape[1]}"
    probe = fit_probe(small, labels[0], small_measured, labels[1], seed)
    row = LayerProbe(
        layer=name,
        depth=depth,
        features=small.shape[1],
        pooled=how,
        accuracy=float(probe.hits.mean()),
        interval=share_interval(probe.hits, groups=groups, seed=seed),
        train_accuracy=probe.train_accuracy,
        strength=probe.strength,
        pooled_likeness=likeness.pooled,
        likeness=likeness.by_place,
        pooled_control=likeness.pooled_control,
        control=likeness.control,
        pooled_spread=likeness.pooled_spread,
    )
    return row, [] if probe.converged else [f"the probe of {name} did not converge: its accuracy may be too low"]


def _protocol() -> dict[str, Any]:
    return {
        "probe": "multinomial logistic regression on standardised features, L2",
        "source": "Alain and Bengio 2016",
        "strengths": list(STRENGTHS),
        "chosen": f"{FOLDS}-fold cross-validation on training images",
        "measured": "validation images",
        "most_features": MOST_FEATURES,
        "likeness": "cosine of features centred by their mean over images",
        "control": "all pairs of different images",
        "border": "mirrored",
        "interpolation": "bilinear",
        "directions": "images take turns: right, down, left, up; to the left, to the right",
    }
