"""Two models on the same images: where their answers differ, and where they look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F

from opsin.data.dataset import Split
from opsin.errors import OpsinError
from opsin.evidence.agreement import similarity, spearman, top_overlap
from opsin.evidence.compare import Paired, answer_both, compared
from opsin.explanation.explain import explain
from opsin.explanation.methods import METHODS
from opsin.inference.answers import Progress, class_positions, known_classes
from opsin.records import Explanation
from opsin.records.evidence import NOT_CHECKED
from opsin.reporting.views.answered import split_ids
from opsin.reporting.views.subject import Subject

MOST_IMAGES = 24  # whose maps are compared at a time
TOP = 0.1


def others(subject: Subject, *, progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """What can be compared with: ids and names; empty where the host has only this one."""
    names = subject.other_names()
    return {"ids": list(names), "names": list(names.values()), "methods": list(METHODS)}


def compare(
    subject: Subject, *, progress: Progress, other: str, split: Literal["validation", "test"] = "test"
) -> dict[str, Any]:
    """The answers of the model that is looked at (a) and of another one (b) to the same images, without those that
    either was trained or tuned on.

    Args:
        other: the other subject's id.
        split: of the data of this subject's run.

    Returns:
        names of the two; images; accuracy_a, accuracy_b, difference (b minus a) with its interval, p_value (McNemar
        1947); both_right, only_a, only_b, both_wrong; per image ids, labels, answers_a, answers_b, int32,
        confidence_a, confidence_b (of the answers), truth_a, truth_b (of the label) and distance, float32: half the sum
        of the differences of all probabilities, 0 for the same and 1 for opposite answers; recall_a, recall_b float32
        `(classes,)`, NaN for a class without images; excluded; notes.

    Raises:
        OpsinError: there is no such other one, no data, or the models do not know the same classes.
        CheckFailed: no image is left, or an answer is not a number.
    """
    second = subject.other(other)
    data = subject.data
    images: Split = data.test if split == "test" else data.validation
    paired = answer_both(subject.model, second.model, images, progress=progress)
    found = compared(paired, (subject.name, second.name))
    recalls = {name: (a, b) for name, a, b in found.per_class}
    missing = (np.nan, np.nan)
    return {
        "names": list(found.names),
        "images": found.images,
        "accuracy_a": found.accuracy_a,
        "accuracy_b": found.accuracy_b,
        "difference": found.difference,
        "interval": list(found.difference_interval),
        "p_value": found.p_value,
        "both_right": found.both_right,
        "only_a": found.only_a,
        "only_b": found.only_b,
        "both_wrong": found.both_wrong,
        "ids": split_ids(subject, split, paired.chosen),
        **_answers(paired),
        "recall_a": np.array([recalls.get(name, missing)[0] for name in paired.classes], np.float32),
        "recall_b": np.array([recalls.get(name, missing)[1] for name in paired.classes], np.float32),
        "classes": list(paired.classes),
        "excluded": found.excluded,
        "notes": list(found.notes),
    }


def _answers(paired: Paired) -> dict[str, np.ndarray]:
    a, b = np.exp(paired.a), np.exp(paired.b)
    rows = np.arange(len(paired.truth))
    return {
        "labels": paired.truth,
        "answers_a": a.argmax(axis=1),
        "answers_b": b.argmax(axis=1),
        "confidence_a": a.max(axis=1),
        "confidence_b": b.max(axis=1),
        "truth_a": a[rows, paired.truth],
        "truth_b": b[rows, paired.truth],
        "distance": np.abs(a - b).sum(axis=1) / 2,
    }


def compare_maps(
    subject: Subject,
    *,
    progress: Progress,
    other: str,
    images: list[str],
    method: str = "grad_cam",
    target: Literal["a", "b", "truth"] = "a",
) -> dict[str, Any]:
    """Where two models look for the same class in the same pictures.

    Args:
        other: the other subject's id.
        images: ids of pictures, at most 24.
        method: a name of METHODS.
        target: whose class is explained in both: the answer of this model (a) or of the other (b), or the label.

    Returns:
        ids; targets int32, in this model's classes; probability_a, probability_b float32 of them; maps_a, maps_b,
        uint8 `(n, h, w)`, each with low and high float32 `(n,)`, on the same part of the picture; agreement: spearman,
        ssim (Wang et al. 2004) and top_overlap (of the highest tenth) float32 `(n,)`, or None, then `unlike` says why;
        verdict_a, verdict_b: what the checks that the runs kept say of the method.

    Raises:
        OpsinError: there is no such other one, picture or method, a label was asked for and is not known, or the method
            cannot be right for one of the models.
    """
    if not 1 <= len(images) <= MOST_IMAGES:
        raise OpsinError(f"maps of {len(images)} pictures were asked for; expected 1 to {MOST_IMAGES}")
    second = subject.other(other)
    targets = _targets(subject, second, images, target)
    pair: list[Explanation] = []
    for done, (one, wanted) in enumerate(((subject, targets), (second, _renamed(subject, second, targets)))):
        progress("explaining", done, 2)
        pair.append(_explained(one, subject, images, method, wanted))
    maps_a, maps_b, unlike = _together(pair[0], pair[1], _parts(subject, second, images))
    agreement = None if unlike else _agreement(maps_a, maps_b)
    return {
        "ids": images,
        "targets": targets,
        "probability_a": _probabilities(pair[0]),
        "probability_b": _probabilities(pair[1]),
        **_levels("a", maps_a),
        **_levels("b", maps_b),
        "agreement": agreement,
        "unlike": unlike,
        "verdict_a": _verdict(subject, method),
        "verdict_b": _verdict(second, method),
        "layer_a": pair[0].layer,
        "layer_b": pair[1].layer,
    }


def _targets(subject: Subject, second: Subject, images: Sequence[str], target: str) -> np.ndarray:
    """int64 `(n,)` in the classes of the first model."""
    if target == "truth":
        labels = [seen.label for seen in subject.seen(images)]
        unknown = [id for id, label in zip(images, labels, strict=True) if label is None]
        if unknown:
            raise OpsinError(f"the class of {unknown[0]} is not known; ask for the answer of one of the models")
        return np.array(labels, np.int64)
    if target == "a":
        return _scores(subject, subject, images).argmax(axis=1)
    answers = _scores(second, subject, images).argmax(axis=1)
    return class_positions(subject.model, known_classes(second.model))[answers]


def _renamed(subject: Subject, second: Subject, targets: np.ndarray) -> np.ndarray:
    return class_positions(second.model, known_classes(subject.model))[targets]


def _pictures(one: Subject, owner: Subject, images: Sequence[str]) -> Any:
    """The pictures of `owner` as the input of the network of `one`."""
    seen = owner.seen(images)
    if one is not owner and one.model.preprocess != owner.model.preprocess:
        # what was prepared for one network is just a picture to another
        seen = [replace(item, prepared=False) for item in seen]
    return torch.cat([one.input_of(item) for item in seen])


def _scores(one: Subject, owner: Subject, images: Sequence[str]) -> np.ndarray:
    return one.model.logits(_pictures(one, owner, images)).float().cpu().numpy()


def _explained(one: Subject, owner: Subject, images: Sequence[str], method: str, targets: np.ndarray) -> Explanation:
    if method not in METHODS:
        raise OpsinError(f"{method!r} was asked for; expected one of {', '.join(METHODS)}")
    found = explain(one.model, _pictures(one, owner, images), method, target=targets.tolist())
    assert isinstance(found, Explanation)
    return found


def _probabilities(explanation: Explanation) -> np.ndarray | None:
    return None if explanation.probabilities is None else explanation.probabilities.astype(np.float32)


def _parts(subject: Subject, second: Subject, images: Sequence[str]) -> bool:
    """Whether both networks see the same part of the pictures, to a pixel."""
    ways = subject.model.preprocess, second.model.preprocess
    if ways[0] is None or ways[1] is None or ways[0] == ways[1]:
        return True
    sizes = {seen.pixels.shape[:2] for seen in subject.seen(images)}
    return all(np.allclose(ways[0].geometry(size), ways[1].geometry(size), atol=1) for size in sizes)


def _together(a: Explanation, b: Explanation, same_part: bool) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Both models' maps at the same size, and why they cannot be laid over each other, or None.

    Two networks that see the same part of a picture at other sizes have maps of other sizes: the larger ones are
    averaged down.
    """
    if not same_part:
        return a.maps, b.maps, "the two models see other parts of the picture"
    (high, wide), (other_high, other_wide) = a.maps.shape[1:], b.maps.shape[1:]
    size = (min(high, other_high), min(wide, other_wide))
    return _shrunk(a.maps, size), _shrunk(b.maps, size), None


def _shrunk(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if maps.shape[1:] == size:
        return maps
    return F.interpolate(torch.from_numpy(maps)[:, None], size, mode="area")[:, 0].numpy()


def _agreement(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "spearman": spearman(a, b).astype(np.float32),
        "ssim": similarity(a, b).astype(np.float32),
        "top_overlap": top_overlap(a, b, TOP).astype(np.float32),
    }


def _levels(which: str, maps: np.ndarray) -> dict[str, np.ndarray]:
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    spread = np.where(high > low, high - low, 1)[:, None, None]
    return {
        f"maps_{which}": np.round((maps - low[:, None, None]) / spread * 255).astype(np.uint8),
        f"low_{which}": low.astype(np.float32),
        f"high_{which}": high.astype(np.float32),
    }


def _verdict(subject: Subject, method: str) -> str:
    if subject.run is None:
        return NOT_CHECKED
    return next((kept.verdict for kept in subject.material.kept[0] if kept.explanation.method == method), NOT_CHECKED)
