"""`opsin.predict`: what a model answers on images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from opsin.data.images import Source, each_image, open_each
from opsin.inference.answers import Progress, batch_size, log_probabilities, opened
from opsin.models.classifier import Classifier
from opsin.records import Prediction, Unreadable


def predict(model: Classifier | str | Path, images: Any, *, progress: Progress | None = None) -> Prediction:
    """Classify images.

    Only a few hundred pictures are open at a time, so that a folder of any size goes through.

    Args:
        model: a Classifier, or what `load_model` opens; a network's name stands for its pretrained weights.
        images: paths, folders, PIL images or uint8 arrays `(n, h, w, c)`, one or many, which go through the model's
            Preprocess; or a float tensor `(n, c, h, w)`, taken as already preprocessed. An iterator is read bit by bit.
        progress: told what is done, how many pictures are done, and how many are known of.

    Returns:
        The Prediction: a row per picture in the given order; files that could not be read are listed beside them.

    Raises:
        OpsinError: there is no such model or file, a folder has no images, or the model takes no pictures.
        CheckFailed: the model answers with NaN.
    """
    classifier = opened(model)
    if isinstance(images, Tensor) or classifier.preprocess is None:
        inputs, names, unreadable = classifier.inputs(images)
        return _prediction(classifier, [log_probabilities(classifier, inputs)], names, unreadable)
    preprocess = classifier.preprocess
    rows, names, unreadable = [], [], []
    start = 0
    # what is no iterator is looked through first, so that misuse is found before anything runs
    known = None if isinstance(images, Iterator) else each_image(images)
    for chunk in _chunks(images, known, batch_size(preprocess.height * preprocess.width * preprocess.channels)):
        pixels, read, skipped = open_each(chunk, preprocess, first=start)
        rows.append(log_probabilities(classifier, preprocess.normalise(pixels)))
        names += read
        unreadable += skipped
        start += len(chunk)
        if progress is not None:
            progress("predicting", start, start if known is None else len(known))
    return _prediction(classifier, rows, tuple(names), tuple(unreadable))


def _chunks(images: Any, known: list[Source] | None, size: int) -> Iterator[list[Source]]:
    """Lists of up to `size` pictures."""
    stream = chain.from_iterable(map(each_image, images)) if known is None else iter(known)
    while chunk := list(islice(stream, size)):
        yield chunk


def _prediction(
    model: Classifier, rows: list[np.ndarray], names: tuple[str, ...], unreadable: tuple[Unreadable, ...]
) -> Prediction:
    classes = model.classes or ()
    filled = [part for part in rows if len(part)]
    probabilities = np.exp(np.concatenate(filled)) if filled else np.zeros((0, len(classes)), np.float32)
    return Prediction(probabilities, classes, names, unreadable)
