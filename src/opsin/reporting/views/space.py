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
Stamp = tuple[tuple[int, int], ...]
Frames = dict[int, tuple[Stamp, FeatureSpace]]

# The layouts of a run's epochs that were made so far, without features; each with the epochs that it rests on and the
# times at which their features were written.
_FRAMES: weakref.WeakKeyDictionary[Subject, dict[str, Frames]] = weakref.WeakKeyDictionary()


def spaces(subject: Subject, *, progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """What can be laid out.

    Returns:
        kept: the layer whose features the run keeps after each epoch; `epochs` of which they were kept, with their
        `steps`, int32; `layers` that the network can be asked for as it
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
        "layers": layers,
        "layers_missing": missing,
        "images": len(last.labels),
    }


def space(subject: Subject, *, progress: Progress, epoch: int | None = None) -> dict[str, Any]:
    """The features that a run kept after an epoch (the nearest that was kept; None: the last), on the plane of their
    two directions of largest variance (PCA); see `layout` for what is told.

    The planes of all epochs are turned and mirrored onto an earlier one (orthogonal Procrustes, Schoenemann 1966), and
    each is scaled to the same spread, so that motion means change.
    """
    run = subject.need_run()
    chosen = _nearest(_epochs(run), epoch)
    return _told(subject, *_chained(subject, "pca", _epochs(run), chosen, progress), chosen)


def layout(
    subject: Subject, *, progress: Progress, method: Method = "tsne", epoch: int | None = None, layer: str | None = None
) -> dict[str, Any]:
    """A layout that takes its time.

    Args:
        method: `tsne` (van der Maaten and Hinton 2008; each epoch starts from an earlier one and is turned onto it) or
            `pca`.
        epoch: of the kept features, the nearest that was kept; None: the last.
        layer: another layer, of the network as it is now, on the same images; `epoch` then has to be None.

    Returns:
        ids; labels, int32, -1 where unknown; answers of the finished network, int32, -1 while there are none, and
        their probabilities; `positions` float32 `(n, 2)`, centred, with a root mean square distance of 1 from the
        centre; epoch and step (None for another layer); layer, pooled, features, method, perplexity; trustworthiness
        and its neighbours; purity and what chance gives; explained: share of the variance of each axis of a PCA;
        change: the share of the layout onto which it was turned (of the epoch `before`; for another layer of the
        last epoch) that is not in this one; notes.

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
    chosen = _nearest(epochs, epoch)
    return _told(subject, *_chained(subject, method, epochs, chosen, progress), chosen)


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


def _way(epochs: Sequence[int], wanted: int) -> list[int]:
    """The epochs from the first to the wanted one, each turned onto the one before: every one about twice as late as
    the last, since most changes early. Few have to be made for any epoch, neighbours are turned onto the same one, and
    a training that goes on changes none of them."""
    way = [epochs[0]]
    for epoch in epochs[1:]:
        if 2 * way[-1] <= epoch < wanted:
            way.append(epoch)
    return way if wanted == way[-1] else [*way, wanted]


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
    """The layout of an epoch, turned onto that of an earlier one, and so on from the first; and which that was. One
    whose features cannot be laid out (a diverged or dead network) is passed over."""
    frames = _FRAMES.setdefault(subject, {}).setdefault(method, {})
    before: FeatureSpace | None = None
    stamp: Stamp = ()
    chain = _way(epochs, wanted)
    for done, epoch in enumerate(chain):
        path = subject.need_run().path / "embeddings" / f"{epoch:04d}.safetensors"
        own = (*stamp, (epoch, path.stat().st_mtime_ns))
        if epoch not in frames or frames[epoch][0] != own:
            progress(f"{'t-SNE' if method == 'tsne' else 'PCA'}, epoch {epoch}", done, len(chain))
            try:
                made = _scaled(project(_features(subject, epoch), method, aligned_to=before))
            except (OpsinError, CheckFailed):
                if epoch == wanted:
                    raise
                continue
            frames[epoch] = (own, dataclasses.replace(made, features=made.features[:, :0]))
        stamp, before = frames[epoch]
    assert before is not None
    progress("trustworthiness", len(chain), len(chain))
    found = measured(dataclasses.replace(before, features=_features(subject, wanted).features))
    return found, stamp[-2][0] if len(stamp) > 1 else None


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
