"""`opsin.compare`: where two models differ on the same images, and whether chance explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from opsin.data.dataset import Dataset, Split
from opsin.data.load import load_data
from opsin.errors import OpsinError
from opsin.inference.answers import Progress, answer, class_positions, known_classes, opened
from opsin.inference.evaluate import groups_of, images_of, left_over
from opsin.inference.history import read_history
from opsin.inference.intervals import bootstrap_mean
from opsin.models.classifier import Classifier
from opsin.records import Comparison


def compare(
    model_a: Classifier | str | Path,
    model_b: Classifier | str | Path,
    data: Dataset | Split | str | Path,
    *,
    names: tuple[str, str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare the answers of two models on labelled images that neither was trained or tuned on.

    Args:
        model_a, model_b: Classifiers, or what `load_model` opens, with the same class names in any order.
        data: a Dataset, one of its splits, or what `load_data` takes; its classes may be a part of the models'.
        names: what to call the two; by default where they came from, or what they are.
        seed: of the bootstrap, and of the splits where the data is opened here.
        progress: told what is done, how many images are done, and how many there are.

    Returns:
        The Comparison. The difference has a paired bootstrap interval, the p-value is McNemar's exact two-sided one
        (McNemar 1947, Note on the sampling error of the difference between correlated proportions).

    Raises:
        OpsinError: the models' classes are not the same, or the data has others.
        CheckFailed: no image is left.
    """
    paired = answer_both(model_a, model_b, data, seed=seed, progress=progress)
    return compared(paired, names or (_called(paired.models[0], model_a), _called(paired.models[1], model_b)), seed)


@dataclass(frozen=True)
class Paired:
    """What two models answer to the same labelled images, which neither was trained or tuned on.

    Attributes:
        models: the two.
        dataset, chosen: the images: positions int64 `(n,)` in the Dataset.
        classes: class names, those of the first model; `truth` int64 `(n,)` positions in them.
        a, b: log probabilities float32 `(n, classes)` of the two, the columns in the order of `classes`.
        excluded: how many images were left out because a model has seen them.
        notes: what a reader has to know.
    """

    models: tuple[Classifier, Classifier]
    dataset: Dataset
    chosen: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray
    a: np.ndarray
    b: np.ndarray
    excluded: int
    notes: tuple[str, ...]


def answer_both(
    model_a: Classifier | str | Path,
    model_b: Classifier | str | Path,
    data: Dataset | Split | str | Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Paired:
    """Ask two models about the same images; arguments and errors as of `compare`."""
    models = opened(model_a), opened(model_b)
    images = data if isinstance(data, Dataset | Split) else load_data(data, seed=seed, progress=progress)
    dataset, wanted = images_of(images)
    histories = tuple(map(read_history, models))
    chosen = left_over(dataset, wanted, histories, images)
    classes = _same_classes(*models)
    return Paired(
        models=models,
        dataset=dataset,
        chosen=chosen,
        classes=classes,
        truth=class_positions(models[0], dataset.classes)[dataset.labels[chosen]],
        a=answer(models[0], dataset, chosen, progress, "the first model answers"),
        # where each of the first model's classes stands in the second
        b=answer(models[1], dataset, chosen, progress, "the second model answers")[
            :, class_positions(models[1], classes)
        ],
        excluded=len(wanted) - len(chosen),
        notes=tuple(_notes(histories)),
    )


def compared(paired: Paired, names: tuple[str, str], seed: int = 0) -> Comparison:
    """The figures of two models' answers."""
    truth, classes = paired.truth, paired.classes
    given, other = paired.a.argmax(axis=1), paired.b.argmax(axis=1)
    right = given == truth, other == truth
    only_a, only_b = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    gain = right[1].astype(np.float64) - right[0]
    return Comparison(
        names=names,
        images=len(truth),
        accuracy_a=float(right[0].mean()),
        accuracy_b=float(right[1].mean()),
        difference=float(gain.mean()),
        difference_interval=bootstrap_mean(gain, groups=groups_of(paired.dataset, paired.chosen), seed=seed),
        both_right=int((right[0] & right[1]).sum()),
        only_a=only_a,
        only_b=only_b,
        both_wrong=int((~right[0] & ~right[1]).sum()),
        p_value=mcnemar(only_a, only_b),
        differing=tuple(
            {
                "name": paired.dataset.names[paired.chosen[i]],
                "truth": classes[truth[i]],
                "a": classes[given[i]],
                "b": classes[other[i]],
            }
            for i in np.flatnonzero(given != other).tolist()
        ),
        per_class=tuple(
            (classes[c], float(right[0][truth == c].mean()), float(right[1][truth == c].mean()))
            for c in np.unique(truth).tolist()
        ),
        excluded=paired.excluded,
        notes=paired.notes,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p-value of McNemar's exact test: were the models equally good, each image that only one of them gets
    right would be a fair coin's throw. 1 where there is none."""
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def _same_classes(model_a: Classifier, model_b: Classifier) -> tuple[str, ...]:
    """The first model's classes, which have to be the second's too."""
    first, second = known_classes(model_a), known_classes(model_b)
    if set(first) != set(second):
        extra, lacking = sorted(set(first) - set(second))[:3], sorted(set(second) - set(first))[:3]
        raise OpsinError(
            f"the models answer with other classes: only the first knows {extra}, only the second {lacking}; compare "
            "models that were trained on the same classes"
        )
    return first


def _called(model: Classifier, given: Classifier | str | Path) -> str:
    if not isinstance(given, Classifier):
        return str(given)
    return model.label if model.origin is None else str(model.origin)


def _notes(histories: Sequence[object]) -> list[str]:
    unknown = [which for which, history in zip(("first", "second"), histories, strict=True) if history is None]
    return [
        f"it is not known which images the {which} model was trained on: if these were among them, its figures are too "
        "good"
        for which in unknown
    ]
