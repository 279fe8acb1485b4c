"""Where images lie in the features of the network, from epoch to epoch and from layer to layer."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from opsin.data.dataset import Split
from opsin.errors import CheckFailed, OpsinError
from opsin.explanation.inside.embed import embed, measured, project
from opsin.explanation.inside.features import INPUT_OF, list_layers
from opsin.inference.answers import Progress
from opsin.records import FeatureSpace
from opsin.reporting.views.answered import answers_to, split_ids
from opsin.reporting.views.subject import Subject
from opsin.training.run import Embedding, Run

Method = Literal["pca", "tsne"]
Frames = dict[int, tuple[int, FeatureSpace]]

# the layouts of a run's epochs that were made so far, each with the time its features were written; without features
_FRAMES: weakref.WeakKeyDictionary[Subject, dict[str, Frames]] = weakref.WeakKeyDictionary()


def spaces(subject: Subject, *, progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """What can be laid out.

    Returns:
        kept: the layer whose features the run keeps after each epoch; `epochs` of which they were kept, with their
        `steps`, int32; `tsne_epochs`: those that a t-SNE is made of; `layers` that the network can be asked for as it
        is now, and why there are none; `images`: how many were kept.

    Raises:
        OpsinError: no run is looked at, or it keeps no features.
    """
    run = subject.need_run()
    epochs = _epochs(run)
    last = run.embeddings(epochs[-1])
    layers, missing = _layers(subject, last.indices)
    return {
        "kept": _kept_layer(last),
        "epochs": np.array(epochs, np.int32),
        "steps": np.array(_steps(run, epochs), np.int32),
        "tsne_epochs": np.array(_doubling(epochs), np.int32),
        "layers": layers,
        "layers_missing": missing,
        "images": len(last.labels),
    }


def space(subject: Subject, *, progress: Progress, epoch: int | None = None) -> dict[str, Any]:
    """The features that a run kept after an epoch (the nearest that was kept; None: the last), on the plane of their
    two directions of largest variance (PCA); see `layout` for what is told.

    The planes of all epochs are turned and mirrored onto the one before (orthogonal Procrustes), and each is scaled to
    the same spread, so that motion means change.
    """
    run = subject.need_run()
    chosen = _nearest(_epochs(run), epoch)
    return _told(subject, *_chained(subject, "pca", _epochs(run), chosen, progress), chosen)


def layout(
    subject: Subject, *, progress: Progress, method: Method = "tsne", epoch: int | None = None, layer: str | None = None
) -> dict[str, Any]:
    """A layout that takes its time.

    Args:
        method: `tsne` (van der Maaten and Hinton 2008; each epoch starts from the one before and is turned onto it) or
            `pca`.
        epoch: of the kept features; the nearest of those that a t-SNE is made of; None: the last.
        layer: another layer, of the network as it is now, on the same images; `epoch` then has to be None.

    Returns:
        ids; labels, int32, -1 where unknown; answers of the finished network, int32, -1 while there are none, and
        their probabilities; `positions` float32 `(n, 2)`, centred, with a root mean square distance of 1 from the
        centre; epoch and step (None for another layer); layer, pooled, features, method, perplexity; trustworthiness
        and its neighbours; purity and what chance gives; explained: share of the variance of each axis of a PCA;
        change: the share of the layout of the epoch `before` (of the last epoch, for another layer) that is not in this
        one; notes.

    Raises:
        OpsinError: no run is looked at, it keeps no features, or there is no network or no such layer.
        CheckFailed: the features are not finite.
    """
    run = subject.need_run()
    epochs = _epochs(run)
    if layer is not None and layer != _kept_layer(run.embeddings(epochs[-1])):
        if epoch is not None:
            raise OpsinError(
                f"epoch {epoch} of {layer} was asked for; a run keeps the features of one layer only: leave epoch out"
            )
        return _told(subject, _of_layer(subject, layer, method, progress), None, None)
    kept = _doubling(epochs) if method == "tsne" else epochs
    chosen = _nearest(kept, epoch)
    return _told(subject, *_chained(subject, method, kept, chosen, progress), chosen)


def _epochs(run: Run) -> list[int]:
    epochs = run.embedding_epochs
    if not epochs:
        raise OpsinError(f"{run.name} keeps no features of validation images; train with --embeddings 2000")
    return epochs


def _kept_layer(kept: Embedding) -> str:
    """A run keeps what its last layer is given."""
    return f"{INPUT_OF}{kept.layer}"


def _steps(run: Run, epochs: Sequence[int]) -> list[int]:
    known = {line["epoch"]: line["step"] for line in run.epochs}
    return [known.get(epoch, 0) for epoch in epochs]


def _doubling(epochs: Sequence[int]) -> list[int]:
    """The first, then each about twice as late as the one before, and the last: most changes early, and a training that
    goes on adds to them without changing those before."""
    kept = [epochs[0]]
    for epoch in epochs[1:]:
        if epoch >= 2 * kept[-1]:
            kept.append(epoch)
    return kept if kept[-1] == epochs[-1] else [*kept, epochs[-1]]


def _nearest(epochs: Sequence[int], wanted: int | None) -> int:
    return epochs[-1] if wanted is None else min(epochs, key=lambda epoch: abs(epoch - wanted))


def _layers(subject: Subject, indices: np.ndarray) -> tuple[list[str], str | None]:
    """Layers that the network can be asked for on the validation images, or why there are none."""
    try:
        subject.data  # noqa: B018
        first = subject.inputs([split_ids(subject, "validation", indices[:1])[0]])
        return list_layers(subject.model, first), None
    except (OpsinError, CheckFailed) as error:
        return [], str(error)


def _features(subject: Subject, epoch: int) -> FeatureSpace:
    kept = subject.need_run().embeddings(epoch)
    names = tuple(map(subject.material.name, kept.indices.tolist()))
    known = kept.labels if len(kept.labels) and kept.labels.min() >= 0 else None
    return FeatureSpace(
        kept.features, _kept_layer(kept), "as it is", names, known, subject.classes, total=len(names), seed=0
    )  # fmt: skip


def _chained(
    subject: Subject, method: Method, epochs: Sequence[int], wanted: int, progress: Progress
) -> tuple[FeatureSpace, int | None]:
    """The layout of an epoch, made from that of the one before, and so on from the first; and which that was. One whose
    features cannot be laid out (a diverged or dead network) is passed over."""
    frames = _FRAMES.setdefault(subject, {}).setdefault(method, {})
    before: FeatureSpace | None = None
    way: list[int] = []
    chain = [epoch for epoch in epochs if epoch <= wanted]
    for done, epoch in enumerate(chain):
        written = (subject.need_run().path / "embeddings" / f"{epoch:04d}.safetensors").stat().st_mtime_ns
        known = frames.get(epoch)
        if known is None or known[0] != written or (before is not None and known[1].names != before.names):
            progress(f"{'t-SNE' if method == 'tsne' else 'PCA'}, epoch {epoch}", done, len(chain))
            try:
                made = _scaled(project(_features(subject, epoch), method, aligned_to=before))
            except (OpsinError, CheckFailed):
                if epoch == wanted:
                    raise
                continue
            for later in [other for other in frames if other > epoch]:
                del frames[later]
            known = frames[epoch] = (written, dataclasses.replace(made, features=made.features[:, :0]))
        before = known[1]
        way.append(epoch)
    assert before is not None
    progress("trustworthiness", len(chain), len(chain))
    found = measured(dataclasses.replace(before, features=_features(subject, wanted).features))
    return found, way[-2] if len(way) > 1 else None


def _of_layer(subject: Subject, layer: str, method: Method, progress: Progress) -> FeatureSpace:
    """Another layer of the network as it is now, turned onto the last epoch of the layer that was kept."""
    run = subject.need_run()
    epochs = _epochs(run)
    indices = run.embeddings(epochs[-1]).indices
    images = Split("validation", subject.data, indices)
    last, _ = _chained(subject, "pca", epochs, epochs[-1], progress)
    found = embed(subject.model, images, layer, method=method, most=len(indices), aligned_to=last, progress=progress)
    return _scaled(found)


def _scaled(space: FeatureSpace) -> FeatureSpace:
    """Centred, at a root mean square distance of 1: the scale that best fits another layout would shrink with every
    epoch that has little in common with the one before."""
    assert space.projection is not None
    points = space.projection.astype(np.float64)
    points -= points.mean(axis=0)
    size = float(np.sqrt((points**2).sum(axis=1).mean())) or 1.0
    return dataclasses.replace(space, projection=(points / size).astype(np.float32))


def _told(subject: Subject, space: FeatureSpace, before: int | None, epoch: int | None) -> dict[str, Any]:
    run = subject.need_run()
    indices = run.embeddings(_epochs(run)[-1] if epoch is None else epoch).indices
    answers, confidence = answers_to(subject, indices)
    return {
        "ids": split_ids(subject, "validation", indices),
        "labels": np.full(len(space), -1, np.int32) if space.labels is None else space.labels.astype(np.int32),
        "answers": answers,
        "confidence": confidence,
        "positions": space.projection,
        "epoch": epoch,
        "step": None if epoch is None else _steps(run, [epoch])[0],
        "layer": space.layer,
        "pooled": space.pooled,
        "features": space.features.shape[1],
        "method": space.method,
        "perplexity": (space.settings or {}).get("perplexity"),
        "trustworthiness": space.trustworthiness,
        "neighbours": space.neighbours,
        "purity": space.purity,
        "purity_chance": space.purity_chance,
        "explained": None if space.explained is None else space.explained.tolist(),
        "change": space.misfit,
        "before": before,
        "notes": list(space.notes),
    }
