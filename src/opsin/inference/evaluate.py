"""`opsin.evaluate`: how good a model is on labelled images that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from opsin.data.dataset import Dataset, Split
from opsin.data.load import load_data
from opsin.errors import CheckFailed
from opsin.inference import scoring
from opsin.inference.answers import Progress, answer, class_positions, known_classes, opened
from opsin.inference.baselines import score_baselines
from opsin.inference.calibration import Answers, fit_temperature, operating_points, tempered
from opsin.inference.curves import class_curves
from opsin.inference.history import History, read_history, stored_validation, unseen
from opsin.inference.intervals import share_interval, wilson
from opsin.models.classifier import Classifier
from opsin.records import Baseline, ClassScores, Scores

FEW_VALIDATION = 100

Answering = Callable[[Dataset, np.ndarray], np.ndarray]
"""A Dataset and positions in it to log probabilities float32 `(n, classes)`."""


def evaluate(
    model: Classifier | str | Path,
    data: Dataset | Split | str | Path,
    *,
    baselines: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """Score a model on labelled images, without those that it was trained or tuned on.

    Args:
        model: a Classifier, or what `load_model` opens. One that came from a run brings its history: every image whose
            content its run trained or validated on is left out. Of others nothing is known, and a note says so.
        data: a Dataset, one of its splits, or what `load_data` takes. Its classes are matched with the model's by name
            and may be a part of them.
        baselines: also score much simpler methods, fitted on the model's training images that are among the data.
        seed: of the bootstrap, of the baselines, and of the splits where the data is opened here.
        progress: told what is done, how many images are done, and how many there are.

    Returns:
        The Scores. Temperature and thresholds come from validation images, never from the scored ones.

    Raises:
        OpsinError: the data has a class that the model does not know, or the model cannot read pictures.
        CheckFailed: no image is left, or the model answers with NaN.
    """
    classifier = opened(model)
    images = data if isinstance(data, Dataset | Split) else load_data(data, seed=seed, progress=progress)
    return score(classifier, images, partial(answer, classifier, progress=progress), baselines=baselines, seed=seed)


def score(
    model: Classifier, data: Dataset | Split, answer: Answering, *, baselines: bool = True, seed: int = 0
) -> Scores:
    """What `evaluate` does once both are open; `answer` gives the model's answers, perhaps known ones."""
    dataset, wanted = images_of(data)
    history = read_history(model)
    chosen = left_over(dataset, wanted, (history,), data)
    positions = class_positions(model, dataset.classes)
    scored = Answers(answer(dataset, chosen), positions[dataset.labels[chosen]])
    validation = _validation(model, dataset, chosen, history, answer, positions)
    temperature = None if validation is None else fit_temperature(validation)
    groups = groups_of(dataset, chosen)
    notes = [
        *_notes_on_images(model, scored, history, groups),
        *_notes_on_validation(validation, temperature),
    ]
    compared = ()
    if baselines:
        compared, more = _baselines(model, dataset, chosen, scored, history, positions, seed)
        notes += more
    return scores_of(
        known_classes(model), scored, validation, temperature=temperature, groups=groups, seed=seed,
        baselines=compared, excluded=len(wanted) - len(chosen), notes=notes,
    )  # fmt: skip


def images_of(data: Dataset | Split) -> tuple[Dataset, np.ndarray]:
    """The Dataset and the positions in it that are meant: of a split, or all."""
    return (data.dataset, data.indices) if isinstance(data, Split) else (data, np.arange(len(data.labels)))


def left_over(
    dataset: Dataset, wanted: np.ndarray, histories: tuple[History | None, ...], data: Dataset | Split
) -> np.ndarray:
    """The positions of the images that no model has seen.

    Raises:
        CheckFailed: there is none.
    """
    what = f"the {data.name} split of {dataset.name}" if isinstance(data, Split) else dataset.name
    if not len(wanted):
        raise CheckFailed(f"{what} has no images: nothing to score; give other images")
    chosen = unseen(dataset, wanted, histories)
    if not len(chosen):
        raise CheckFailed(
            f"all {len(wanted):,} images of {what} were used to train or tune the model: nothing is left to score; "
            "give images that it has not seen"
        )
    return chosen


def groups_of(dataset: Dataset, chosen: np.ndarray) -> list[str] | None:
    """The group of each of these images, where some share one; an image of which none is known is one by itself."""
    if dataset.groups is None:
        return None
    groups = [dataset.groups[i] or f"image {i} alone" for i in chosen.tolist()]
    return groups if len(set(groups)) < len(groups) else None


def scores_of(
    classes: tuple[str, ...], scored: Answers, validation: Answers | None, *, temperature: float | None = None,
    groups: list[str] | None = None, seed: int = 0, baselines: tuple[Baseline, ...] = (), excluded: int = 0,
    notes: Sequence[str] = (),
) -> Scores:  # fmt: skip
    """The Scores of answers: all figures that need no network."""
    logarithms, labels = scored
    probabilities = np.exp(logarithms)
    answers = logarithms.argmax(axis=1)
    matrix = scoring.confusion(labels, answers, len(classes))
    ratios = scoring.class_ratios(matrix)
    macro, weighted = scoring.averages(ratios)
    areas, roc, pr = class_curves(probabilities, labels)
    table = scoring.reliability(probabilities, labels)
    return Scores(
        images=len(labels),
        classes=classes,
        accuracy=float((answers == labels).mean()),
        accuracy_interval=share_interval(answers == labels, groups=groups, seed=seed),
        top_k=scoring.top_k(logarithms, labels),
        macro=macro,
        weighted=weighted,
        per_class=tuple(
            ClassScores(
                name=name,
                support=int(ratios.support[i]),
                precision=float(ratios.precision[i]),
                recall=float(ratios.recall[i]),
                f1=float(ratios.f1[i]),
                auroc=areas.get(i),
                recall_interval=wilson(int(matrix[i, i]), int(ratios.support[i])),
            )
            for i, name in enumerate(classes)
        ),
        confusion=matrix,
        ece=scoring.calibration_error(table),
        brier=scoring.brier(probabilities, labels),
        nll=scoring.negative_log_likelihood(logarithms, labels),
        reliability=table,
        temperature=temperature,
        ece_calibrated=None if temperature is None else _calibrated_error(scored, temperature),
        auroc=float(np.mean(list(areas.values()))) if len(areas) == len(classes) else None,
        roc={classes[i]: curve for i, curve in roc.items()},
        pr={classes[i]: curve for i, curve in pr.items()},
        thresholds=() if validation is None else tuple(operating_points(validation, scored, classes)),
        baselines=baselines,
        excluded=excluded,
        notes=tuple(notes),
    )


def _calibrated_error(scored: Answers, temperature: float) -> float:
    probabilities = np.exp(tempered(scored.log_probabilities, temperature))
    return scoring.calibration_error(scoring.reliability(probabilities, scored.labels))


def _validation(
    model: Classifier, dataset: Dataset, chosen: np.ndarray, history: History | None, answer: Answering,
    positions: np.ndarray,
) -> Answers | None:  # fmt: skip
    """Answers on validation images: those that the run kept, or else on those that are among the data."""
    if history is not None:
        stored = stored_validation(model, history)
        if stored is not None:
            return stored
    rows = (
        dataset.validation.indices
        if history is None
        else np.array([i for i, item in enumerate(dataset.hashes) if item in history.tuned], np.int64)
    )
    rows = _apart(dataset, rows, chosen)
    return Answers(answer(dataset, rows), positions[dataset.labels[rows]]) if len(rows) else None


def _baselines(
    model: Classifier, dataset: Dataset, chosen: np.ndarray, scored: Answers, history: History | None,
    positions: np.ndarray, seed: int,
) -> tuple[tuple[Baseline, ...], list[str]]:  # fmt: skip
    rows = (
        dataset.train.indices
        if history is None
        else np.array([i for i, item in enumerate(dataset.hashes) if item in history.trained], np.int64)
    )
    rows = _apart(dataset, rows, chosen)
    if not len(rows):
        return (), ["no baselines: no training images are among the data beside those that are scored"]
    assert model.preprocess is not None
    found = score_baselines(
        dataset.pixels(model.preprocess),
        rows,
        positions[dataset.labels[rows]],
        chosen,
        scored.labels,
        groups=groups_of(dataset, chosen),
        seed=seed,
    )
    notes = [] if len(found) == 3 else ["no HOG baseline: the pictures are too small, or one class only was trained"]
    at_hand = {dataset.hashes[i] for i in rows.tolist()}
    if history is not None and len(at_hand) < len(history.trained):
        notes.append(f"baselines know only {len(at_hand):,} of the {len(history.trained):,} training images")
    return found, notes


def _apart(dataset: Dataset, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Those of `rows` whose image is not among the chosen ones, also not as an exact copy."""
    taken = {dataset.hashes[i] for i in chosen.tolist()}
    return np.array([i for i in rows.tolist() if dataset.hashes[i] not in taken], np.int64)


def _notes_on_images(
    model: Classifier, scored: Answers, history: History | None, groups: list[str] | None
) -> list[str]:
    notes = []
    if history is None:
        notes.append(
            "it is not known which images the model was trained on: if these were among them, the figures are too good"
        )
    present = set(np.unique(scored.labels).tolist())
    absent = [name for i, name in enumerate(model.classes or ()) if i not in present]
    if absent:
        notes.append(
            f"{len(absent)} classes have no image here ({', '.join(absent[:3])}{', ...' if len(absent) > 3 else ''}): "
            "averages are over the others, and there is no overall AUROC"
        )
    if groups is not None:
        notes.append(
            f"{len(set(groups)):,} groups: intervals of accuracies draw whole groups, those of recalls take images as "
            "independent and are too narrow"
        )
    return notes


def _notes_on_validation(validation: Answers | None, temperature: float | None) -> list[str]:
    if validation is None:
        return ["no temperature and no thresholds: there are no validation images beside those that are scored"]
    notes = []
    if len(validation.labels) < FEW_VALIDATION:
        notes.append(f"temperature and thresholds rest on only {len(validation.labels)} validation images")
    if temperature is None:
        notes.append("no temperature: the validation images, nearly all answered right, ask for ever more confidence")
    return notes
