"""What is looked at, and its pictures: asked by every view."""

from __future__ import annotations

from typing import Any

import numpy as np

from opsin.errors import OpsinError
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier
from opsin.reporting.views.images import fitted
from opsin.reporting.views.subject import Subject
from opsin.training.run import Run

MOST_PICTURES = 1000
LARGEST_SIDE = 512


def subject(subject: Subject, *, progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """What is looked at.

    Returns:
        name; label of the network, parameters, macs; classes; `input` (channels, height, width, mode, mean, std) or
        None; `run` (status, steps with a snapshot, epochs with embeddings, accuracy, interval, images) or None;
        `model_missing`: why there is no network to ask, or None; `groups` of pictures and their counts; `first`: the id
        of the picture that is shown first.
    """
    model = None if subject.model_missing else subject.model
    groups = subject.images.groups()
    return {
        "name": subject.name,
        **_network(subject, model),
        "classes": list(subject.classes),
        "input": None if model is None else _input(model),
        "run": None if subject.run is None else _run(subject.run),
        "model_missing": subject.model_missing,
        "groups": groups,
        "first": next((f"{group}/0" for group in groups), None),
    }


def _network(subject: Subject, model: Classifier | None) -> dict[str, Any]:
    described = {} if subject.run is None else subject.run.info.get("model") or {}
    counted = None if model is None else sum(item.numel() for item in model.module.parameters())
    return {
        "label": model.label if model is not None else described.get("name") or described.get("type") or subject.name,
        "parameters": described.get("parameters", counted),
        "macs": described.get("macs"),
    }


def _input(model: Classifier) -> dict[str, Any]:
    preprocess, size = model.preprocess, model.size
    return {
        "channels": model.channels,
        "height": None if size is None else size[0],
        "width": None if size is None else size[1],
        "mode": None if preprocess is None else preprocess.mode,
        "mean": None if preprocess is None else list(preprocess.mean),
        "std": None if preprocess is None else list(preprocess.std),
    }


def _run(run: Run) -> dict[str, Any]:
    scores = run.scores
    return {
        "status": run.status,
        "steps": run.snapshot_steps,
        "epochs": run.embedding_epochs,
        "layers": [layer["name"] for layer in run.info.get("layers", [])],
        "accuracy": None if scores is None else scores.accuracy,
        "interval": None if scores is None else list(scores.accuracy_interval),
        "images": None if scores is None else scores.images,
    }


def images(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    group: str,
    start: int = 0,
    count: int = 64,
    side: int = 64,
) -> dict[str, Any]:
    """The pictures of a group, from position `start` on, shrunk to at most `side` pixels; see `thumbnails`."""
    total = subject.images.groups().get(group)
    if total is None:
        raise OpsinError(f"there are no pictures {group!r}; expected one of {', '.join(subject.images.groups())}")
    if start < 0 or count < 0:
        raise OpsinError(f"pictures {start} to {start + count} were asked for; expected none below 0")
    stop = min(start + min(count, MOST_PICTURES), total)
    found = _thumbnails(subject, [f"{group}/{position}" for position in range(start, stop)], side)
    return {"total": total, **found}


def thumbnails(subject: Subject, *, progress: Progress, ids: list[str], side: int = 64) -> dict[str, Any]:  # noqa: ARG001
    """Some pictures, shrunk to at most `side` pixels.

    Returns:
        ids; names; labels, int32, -1 where there is none; `sizes`, int32 `(n, 2)`: height and width of each as sent;
        `pixels`, uint8: their pixels one after the other, `(h, w, 3)` each, `(h, w, 1)` where `grey`.
    """
    if len(ids) > MOST_PICTURES:
        raise OpsinError(f"{len(ids)} pictures were asked for; expected at most {MOST_PICTURES} at a time")
    return _thumbnails(subject, ids, side)


def _thumbnails(subject: Subject, ids: list[str], side: int) -> dict[str, Any]:
    if not 1 <= side <= LARGEST_SIDE:
        raise OpsinError(f"pictures of {side} pixels were asked for; expected 1 to {LARGEST_SIDE}")
    seen = subject.seen(ids)
    pictures = [fitted(item.pixels, side) for item in seen]
    grey = all(item.pixels.shape[2] == 1 for item in seen)
    flat = [picture[..., :1] if grey else picture for picture in pictures]
    return {
        "ids": ids,
        "names": [item.name for item in seen],
        "labels": np.array([-1 if item.label is None else item.label for item in seen], np.int32),
        "sizes": np.array([picture.shape[:2] for picture in pictures], np.int32).reshape(-1, 2),
        "grey": grey,
        "pixels": np.concatenate([picture.ravel() for picture in flat]) if flat else np.zeros(0, np.uint8),
    }
