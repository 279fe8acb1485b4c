"""How the classes lie in the features before the last layer, flattened to a plane."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from opsin.reporting.parts.material import Material, Missing, recalls, spread
from opsin.reporting.texts import say
from opsin.training.run import Embedding

MOST_POINTS = 1_000  # t-SNE of more takes longer than the rest of the report together
NEIGHBOURS = 12  # of trustworthiness
COLOURED = 24  # classes that colours and marks can tell apart
HIGHLIGHTED = 8  # classes that are coloured where there are more
FEWEST_POINTS = 20


@dataclass(frozen=True)
class Map:
    """Points of one projection, float32 `(n, 2)` scaled to 0..1.

    `kept` is the trustworthiness (0..1; Venna and Kaski 2001): whether neighbours on the map are neighbours in the
    features. `variance` is the share that a PCA's two axes explain, None for t-SNE.
    """

    kind: Literal["pca", "tsne"]
    epoch: int
    points: np.ndarray
    kept: float
    variance: float | None


@dataclass(frozen=True)
class Embeddings:
    """The maps of the same images. `coloured` are the classes that have a colour, `right` whether the network's final
    answer was right, per point, where that is known. `total` counts the images whose features were kept."""

    layer: str
    features: int
    maps: tuple[Map, ...]
    labels: np.ndarray
    right: np.ndarray | None
    classes: tuple[str, ...]
    coloured: tuple[int, ...]
    total: int


def embeddings(material: Material) -> Embeddings | Missing:
    """PCA of the first and the last kept epoch, t-SNE of the last."""
    run = material.run
    epochs = run.embedding_epochs
    if not epochs:
        reason = "embeddings.missing_foreign" if material.foreign else "embeddings.missing"
        return Missing(say(reason), None if material.foreign else say("embeddings.remedy"))
    last = run.embeddings(epochs[-1])
    if len(last.labels) < FEWEST_POINTS:
        return Missing(say("embeddings.few", count=len(last.labels), least=FEWEST_POINTS))
    rows = np.array(spread(len(last.labels), MOST_POINTS))
    maps = [] if len(epochs) < 2 else [pca(run.embeddings(epochs[0]).features[rows], epochs[0])]
    maps += [pca(last.features[rows], epochs[-1]), tsne(last.features[rows], epochs[-1])]
    return Embeddings(
        layer=last.layer,
        features=last.features.shape[1],
        maps=tuple(maps),
        labels=last.labels[rows],
        right=_right(material, last, rows),
        classes=material.classes,
        coloured=_coloured(material),
        total=len(last.labels),
    )


def pca(features: np.ndarray, epoch: int) -> Map:
    """The two directions of largest variance."""
    from sklearn.decomposition import PCA

    values = np.nan_to_num(features.astype(np.float64))
    if values.shape[1] < 2 or not values.std(axis=0).any():
        points = np.pad(values[:, :1], ((0, 0), (0, 1)))
        return Map("pca", epoch, _scaled(points), _trust(values, points), None)
    model = PCA(2, svd_solver="full")
    points = model.fit_transform(values)
    return Map("pca", epoch, _scaled(points), _trust(values, points), float(model.explained_variance_ratio_.sum()))


def tsne(features: np.ndarray, epoch: int) -> Map:
    """t-SNE (van der Maaten and Hinton 2008) with openTSNE: PCA initialisation, perplexity 30 or what the number of
    points allows, a fixed seed, one thread."""
    from openTSNE import TSNE

    values = np.nan_to_num(features.astype(np.float64))
    # Without any noise, duplicates have no direction in which they could be pushed apart.
    values = values + np.random.default_rng(0).normal(scale=1e-6 * (values.std() or 1.0), size=values.shape)
    perplexity = min(30, (len(values) - 1) // 3)
    start = "pca" if values.shape[1] >= 2 else "random"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sklearn's and openTSNE's advice is about settings that are fixed here
        points = np.asarray(
            TSNE(perplexity=perplexity, initialization=start, random_state=0, n_jobs=1, neighbors="exact").fit(values)
        )
    return Map("tsne", epoch, _scaled(points), _trust(values, points), None)


def _trust(features: np.ndarray, points: np.ndarray) -> float:
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(features, points, n_neighbors=min(NEIGHBOURS, (len(points) - 1) // 2)))


def _scaled(points: np.ndarray) -> np.ndarray:
    """Into the unit square, with the same scale on both axes."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = float((high - low).max()) or 1.0
    return ((points - (low + high) / 2) / size + 0.5).astype(np.float32)


def _right(material: Material, shown: Embedding, rows: np.ndarray) -> np.ndarray | None:
    answers = material.answers.get("validation")
    if answers is None:
        return None
    known = dict(zip(answers.index.tolist(), answers.probabilities.argmax(axis=1) == answers.label, strict=True))
    return np.array([bool(known.get(index, True)) for index in shown.indices[rows].tolist()])


def _coloured(material: Material) -> tuple[int, ...]:
    """All classes where colours and marks suffice, otherwise those with the lowest recall."""
    count = len(material.classes)
    if count <= COLOURED:
        return tuple(range(count))
    confusions = [line["confusion"] for line in material.run.epochs if "confusion" in line]
    order = np.argsort(recalls(confusions[-1]), kind="stable") if confusions else np.arange(count)
    return tuple(sorted(order[:HIGHLIGHTED].tolist()))
