"""`opsin.inside.embed`: the features of images at one layer, and a projection of them."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn

from opsin.errors import CheckFailed, OpsinError
from opsin.explanation.explain import as_classifier
from opsin.explanation.inside.features import Pooling, penultimate, read_layers
from opsin.explanation.inside.parts import require_layers, require_module
from opsin.explanation.inside.stream import Stream, drawn, open_stream
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier
from opsin.models.weights import bare
from opsin.records import FeatureSpace

Projection = Literal["pca", "tsne"]
MOST_IMAGES = 2000  # all pairs of so many are compared
FEWEST_IMAGES = 4
PERPLEXITY = 30.0  # van der Maaten and Hinton (2008) recommend 5 to 50


def embed(
    model: Classifier | str | Path | nn.Module,
    images: Any,
    layer: str | None = None,
    *,
    method: Projection | None = "pca",
    components: int = 2,
    seed: int = 0,
    most: int = MOST_IMAGES,
    neighbours: int = 10,
    aligned_to: FeatureSpace | None = None,
    progress: Progress | None = None,
) -> FeatureSpace:
    """Collect the features of images at a layer, and project them.

    Args:
        model: a Classifier, what `load_model` takes, or a module (images are then float tensors).
        images: a Dataset, a split of one, or images as `explain` takes them.
        layer: a layer's name. Maps are averaged over their places, of a transformer's tokens the class token is taken
            or, where there is none, the mean. None: what the last linear layer is given.
        method: `pca`; `tsne` (van der Maaten and Hinton 2008; perplexity 30, or what the number of images allows;
            started from the PCA, or from `aligned_to` where that has the same images); None: no projection.
        components: axes of the projection; 2 for t-SNE.
        seed: of the draw and of the projection.
        most: of more images so many are drawn.
        neighbours: k of trustworthiness and purity.
        aligned_to: an earlier FeatureSpace with some of the same images, by name. The projection is turned, mirrored,
            moved and scaled so that these come to lie as near as they can to where they were (orthogonal Procrustes,
            Schoenemann 1966): motion then means change.
        progress: told what is done, how many images are done, and how many there are.

    Returns:
        FeatureSpace.

    Raises:
        OpsinError: there is no such layer or method, too few images, or nothing in common with `aligned_to`.
        CheckFailed: features are not finite.
    """
    classifier = require_module(as_classifier(model), "embed")
    _check(method, components, neighbours, most, aligned_to)
    stream = open_stream(classifier, images)
    space = _collect(classifier, stream, layer, drawn(len(stream), most, seed), seed, progress)
    if method is None:
        return measured(space, neighbours)
    return measured(project(space, method, components=components, aligned_to=aligned_to), neighbours)


def project(
    space: FeatureSpace, method: Projection, *, components: int = 2, aligned_to: FeatureSpace | None = None
) -> FeatureSpace:
    """The same features with a projection, as `embed` makes it; not yet measured.

    Raises:
        OpsinError: all images have the same features, or nothing in common with `aligned_to`.
        CheckFailed: features are not finite.
    """
    if not np.isfinite(space.features).all():
        raise CheckFailed(f"{space.layer} gives values that are not finite: the training diverged")
    if np.ptp(space.features, axis=0).max() <= 1e-6 * np.abs(space.features).max():
        raise OpsinError(
            f"{space.layer} gives the same features for all {len(space)} images; there is nothing to lay out"
        )
    projected = _pca(space, components) if method == "pca" else _tsne(space, aligned_to)
    return projected if aligned_to is None else _aligned(projected, aligned_to)


def _check(method: str | None, components: int, neighbours: int, most: int, aligned_to: FeatureSpace | None) -> None:
    if method is not None and method not in get_args(Projection):
        raise OpsinError(f"method was given as {method!r}; expected pca, tsne or None")
    if components < 1 or neighbours < 1 or most < FEWEST_IMAGES:
        raise OpsinError(
            f"components={components}, neighbours={neighbours} and most={most} were given; expected at least 1, 1 and "
            f"{FEWEST_IMAGES}"
        )
    if method == "tsne" and components != 2:
        raise OpsinError(f"components={components} was given for tsne, which is drawn on a plane; leave it at 2")
    if aligned_to is None:
        return
    if method is None or aligned_to.projection is None:
        raise OpsinError(
            "aligned_to needs two projections; give method= here, and a FeatureSpace that has a projection"
        )
    if aligned_to.projection.shape[1] != components:
        raise OpsinError(
            f"aligned_to has {aligned_to.projection.shape[1]} components and components={components} was given; "
            "expected the same number"
        )


def _collect(
    model: Classifier, stream: Stream, layer: str | None, positions: np.ndarray, seed: int, progress: Progress | None
) -> FeatureSpace:
    parts, kept = [], []
    name, pooling = layer, None
    for batch in stream.batches(positions):
        if pooling is None:
            pooling = Pooling(model, (batch.inputs.shape[-2], batch.inputs.shape[-1]))
            name = penultimate(model, batch.inputs) if name is None else require_layers(bare(model.module), name)[0]
        assert name is not None
        parts.append(read_layers(model, batch.inputs, [name], pooling)[name].cpu())
        kept.append(batch.positions)
        if progress is not None:
            progress("embedding", sum(map(len, kept)), len(positions))
    rows = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    if len(rows) < FEWEST_IMAGES:
        raise OpsinError(f"{len(rows)} images were given; expected at least {FEWEST_IMAGES} to lay out")
    assert name is not None
    assert pooling is not None
    lost = len(stream.unreadable)
    return FeatureSpace(
        features=torch.cat(parts).numpy().astype(np.float32),
        layer=name,
        pooled=pooling.how[name],
        names=tuple(stream.names[at] for at in rows.tolist()),
        labels=None if stream.labels is None else stream.labels[rows],
        classes=stream.classes,
        total=len(stream),
        seed=seed,
        notes=(f"{lost} images could not be read",) if lost else (),
    )


def _pca(space: FeatureSpace, components: int) -> FeatureSpace:
    from sklearn.decomposition import PCA

    most = min(space.features.shape)
    if components > most:
        raise OpsinError(
            f"components={components} was given; expected at most {most}, as there are {len(space)} images and "
            f"{space.features.shape[1]} features"
        )
    model = PCA(components, random_state=space.seed)
    points = model.fit_transform(space.features.astype(np.float64))
    return dataclasses.replace(
        space,
        method="pca",
        settings={"components": components},
        projection=points.astype(np.float32),
        explained=model.explained_variance_ratio_,
    )


def _tsne(space: FeatureSpace, before: FeatureSpace | None) -> FeatureSpace:
    from openTSNE import TSNE

    values = space.features.astype(np.float64)
    # without any noise, copies have no direction in which they could be pushed apart
    noise = np.random.default_rng(space.seed).normal(size=values.shape)
    values = values + 1e-6 * (values.std() or 1.0) * noise
    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    start: Any = "pca" if values.shape[1] >= 2 else "random"
    if before is not None and before.projection is not None and before.names == space.names:
        start = before.projection.astype(np.float64)
        start = (start - start.mean(axis=0)) / (start[:, 0].std() or 1.0) * 1e-4  # as small as openTSNE's own starts
    begun = start if isinstance(start, str) else "aligned_to"
    settings: dict[str, Any] = {"perplexity": perplexity, "initialization": start}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sklearn's and openTSNE's advice is about settings that are fixed here
        fitted = TSNE(**settings, random_state=space.seed, n_jobs=1).fit(values)
    return dataclasses.replace(
        space,
        method="tsne",
        settings={"components": 2, "perplexity": perplexity, "start": begun},
        projection=np.asarray(fitted, np.float32),
    )


def _aligned(space: FeatureSpace, before: FeatureSpace) -> FeatureSpace:
    """The projection turned, mirrored, moved and scaled onto the common images of another one."""
    from scipy.linalg import orthogonal_procrustes

    assert space.projection is not None
    assert before.projection is not None
    place = {name: at for at, name in enumerate(before.names)}
    pairs = [(at, place[name]) for at, name in enumerate(space.names) if name in place]
    least = space.projection.shape[1] + 1
    if len(pairs) < least:
        raise OpsinError(
            f"aligned_to has {len(pairs)} of these images, by name; expected at least {least}: embed the same ones"
        )
    own, other = (np.array(side) for side in zip(*pairs, strict=True))
    mine, theirs = space.projection[own].astype(np.float64), before.projection[other].astype(np.float64)
    centre, target = mine.mean(axis=0), theirs.mean(axis=0)
    turn, singular = orthogonal_procrustes(mine - centre, theirs - target)
    factor = float(singular) / max(float(((mine - centre) ** 2).sum()), 1e-300)
    moved = (space.projection - centre) @ turn * factor + target
    spread = float(((theirs - target) ** 2).sum())
    misfit = float(((moved[own] - theirs) ** 2).sum()) / spread if spread else None
    settings = {**(space.settings or {}), "aligned_by": len(pairs), "scaled_by": factor}
    return dataclasses.replace(space, projection=moved.astype(np.float32), misfit=misfit, settings=settings)


def measured(space: FeatureSpace, neighbours: int = 10) -> FeatureSpace:
    """The same with trustworthiness and purity, over at most `MOST_IMAGES` images."""
    from sklearn.manifold import trustworthiness

    rows = drawn(len(space), MOST_IMAGES, space.seed)
    k = min(neighbours, (len(rows) - 1) // 2)
    found: dict[str, Any] = {"neighbours": k}
    features = space.features[rows].astype(np.float64)
    points = None if space.projection is None else space.projection[rows].astype(np.float64)
    if points is not None:
        found["trustworthiness"] = float(trustworthiness(features, points, n_neighbors=k))
    if space.labels is not None:
        labels = space.labels[rows]
        found["purity"] = purity(features, labels, k)
        found["purity_projection"] = None if points is None else purity(points, labels, k)
        counts = np.bincount(labels)
        found["purity_chance"] = float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))
    if len(rows) < len(space):
        found["notes"] = (*space.notes, f"trustworthiness and purity over {len(rows):,} of the images")
    return dataclasses.replace(space, **found)


def purity(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Mean share of the k nearest other points that have a point's label; `points` float64 `(n, f)`."""
    from sklearn.metrics import pairwise_distances

    distances = pairwise_distances(points)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return float((labels[nearest] == labels[:, None]).mean())
