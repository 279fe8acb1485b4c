"""Checking a run's explanations on images of its own that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from opsin.data.dataset import Dataset
from opsin.errors import OpsinError
from opsin.evidence.check import check
from opsin.evidence.kept import Kept, keep
from opsin.explanation.explain import explain
from opsin.explanation.recommend import recommend
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.records import Explanation
from opsin.training.run import Run

IMAGES = 32


def check_run(
    run: str | Path | Run,
    methods: str | Sequence[str] | None = None,
    *,
    images: int = IMAGES,
    target: Any = None,
    layer: str | None = None,
    measures: Sequence[str] | None = None,
    steps: int = 20,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Kept]:
    """Explain validation images of a run by one or more methods, check the maps, and keep both in the run.

    The images are a sample that the seed fixes, as many of each class as possible, so that methods can be compared.
    Test images take no part: a method may be chosen by these figures, and the test chooses nothing. Each method is
    kept as soon as it is checked, in the place of what was kept of it before; the report then shows it.

    Args:
        run: a run folder.
        methods: names of METHODS; None: the one that is recommended for the network.
        images: how many; fewer where the run has fewer.
        target, layer: as in `explain`; one class, or one per image.
        measures, steps: as in `check`.
        seed: of the sample and of every draw.
        progress: told what is measured, how many measures are done, and how many there are.

    Returns:
        What was kept, in the order of `methods`.

    Raises:
        OpsinError: the run's images are gone or have changed, there are no validation images, or a method cannot be
            right for the network.
    """
    opened = run if isinstance(run, Run) else Run(run)
    if images < 1:
        raise OpsinError(f"images was given as {images}; expected at least 1")
    classifier = load_model(opened.path)
    data = opened.dataset()
    chosen = sample(data, images, seed)
    pictures = [_named(data.picture(at).picture, data.names[at]) for at in chosen.tolist()]
    found = []
    for method, options in _wanted(methods, classifier).items():
        explanation = explain(classifier, pictures, method, target, layer, seed, **options)
        if not isinstance(explanation, Explanation):
            raise OpsinError(f"target={target!r} or layer={layer!r} stands for several; one of each can be kept")
        evidence = check(explanation, classifier, measures=measures, steps=steps, seed=seed, progress=progress)
        keep(opened.path, explanation, evidence)
        found.append(Kept(explanation, evidence))
    return found


def sample(data: Dataset, count: int, seed: int) -> np.ndarray:
    """int64 `(m,)`, m at most `count`: validation images in the order of their classes, as many of each as possible.

    Classes take turns, each giving its images in an order that the seed draws, until there are enough; so do the
    classes themselves, where there are more of them than images are wanted.

    Raises:
        OpsinError: there are no validation images.
    """
    validation = data.validation
    if not len(validation):
        raise OpsinError(f"{data.name} has no validation images; give images to check on: opsin check RUN IMAGES...")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(validation))
    labels = validation.labels[shuffled]
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = labels == label
        turn[rows] = np.arange(rows.sum())
    place = rng.permutation(len(data.classes))[labels]
    chosen = shuffled[np.lexsort((place, turn))[:count]]
    order = np.lexsort((chosen, validation.labels[chosen]))
    return validation.indices[chosen[order]]


def _named(picture: Image.Image, name: str) -> Image.Image:
    """The picture, called by its name in the data wherever pictures are named."""
    picture.filename = name  # type: ignore[attr-defined]
    return picture


def _wanted(methods: str | Sequence[str] | None, classifier: Classifier) -> dict[str, dict[str, Any]]:
    """The settings of each method, the defaults where it was named."""
    if methods is None:
        best = recommend(classifier)
        return {best.method: best.options}
    names = [methods] if isinstance(methods, str) else methods
    if not names:
        raise OpsinError("no methods were given; name one or more, such as grad_cam")
    return {name: {} for name in names}
