"""Why it answers: the methods, the pictures as the network gets them, and maps by method."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.evidence import controls
from opsin.evidence.kept import Kept
from opsin.explanation.explain import explain as explain_images
from opsin.explanation.explain import find_method
from opsin.explanation.known import remembered
from opsin.explanation.layers import find_layers, spatial_layers
from opsin.explanation.methods import METHODS
from opsin.explanation.recommend import ADVICE, BLACK_BOX, Recommendation, recommend
from opsin.inference.answers import Progress
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier
from opsin.records import NOT_CHECKED, Explanation, Snapshot
from opsin.reporting.pictures.overlays import input_pixels
from opsin.reporting.texts import Text, say
from opsin.reporting.views.quantised import quantise, shrink, spoken
from opsin.reporting.views.snapshot_cams import FORMULAS, cam_layers, snapshot_cams
from opsin.reporting.views.subject import Subject

MOST_IMAGES = 24
BEST = 3  # answers per image
SEED = 0
QUICK_VALUES = 2**13  # of an input, up to which also a method of many passes is quick
ADVICE_KEYS = ("pixels", "pooled", "transformer", "places", "gradients", "black_box")  # of ADVICE and BLACK_BOX


def methods(subject: Subject, *, progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """The methods, and which to begin with.

    Returns:
        `methods`: name, family, title, needs, cost, fails (texts by language), layer, class_specific, stochastic, and
        `slow`: whether to ask `explain` rather than `why`; `recommended` (method, layer, reason) or None; `layers` with
        places: name, rows, columns; `default_layer`: the one that methods look at by themselves, or None; `kept`: by
        method the verdict of the run's evidence, its layer, how many images, whether it is stale; `damaged`: by method
        why something that was kept cannot be used; `of_steps`: methods that can show an earlier step.
    """
    model = None if subject.model_missing else subject.model
    found, damaged = ((), {}) if subject.run is None else subject.material.kept
    sample = None if model is None else _sample(subject, model)
    advice: Recommendation | None = None
    layers: list[dict[str, Any]] = []
    default: str | None = None
    if model is not None and sample is not None:
        advice = remembered(model, sample, "advice", lambda: recommend(model, sample))
        layers, default = _layers(model, sample)
    return {
        "methods": [_described(name, model) for name in METHODS],
        "recommended": None if advice is None else {
            "method": advice.method, "layer": advice.layer, "reason": spoken(_advice_text(advice)),
        },
        "layers": layers,
        "default_layer": default,
        "kept": {item.explanation.method: _kept(item) for item in found},
        "damaged": damaged,
        "of_steps": list(FORMULAS),
    }  # fmt: skip


def answers(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    images: list[str],
    step: int | None = None,
) -> dict[str, Any]:
    """Pictures as the network gets them, and what it answers.

    Args:
        images: their ids.
        step: of a training, for probe images: as the snapshot then has it; None: the network as it is.

    Returns:
        names; labels int32, -1 where unknown; `pixels` uint8 `(n, h, w, c)`, c = 1 or 3; `best` int32 `(n, k)`: the
        likeliest classes, `shares` float32: their probabilities; both None where there is no network.
    """
    _check_images(images)
    seen = subject.seen(images)
    if step is not None or subject.model_missing:
        rows = _probe_rows(subject, images)
        pixels = np.stack([item.pixels for item in seen])
        probabilities = None if step is None else _snapshot(subject, step).probabilities[rows]
    else:
        inputs, model = subject.inputs(images), subject.model
        pixels = input_pixels(inputs.float().cpu().numpy(), _display(model))
        probabilities = model.logits(inputs).softmax(dim=1).numpy()
    best = None if probabilities is None else np.argsort(-probabilities, axis=1, kind="stable")[:, :BEST]
    return {
        "names": [item.name for item in seen],
        "labels": np.array([-1 if item.label is None else item.label for item in seen], np.int32),
        "pixels": np.stack([shrink(one) for one in pixels]),
        "best": best,
        "shares": None if best is None else np.take_along_axis(probabilities, best, axis=1),
    }


def why(
    subject: Subject,
    *,
    progress: Progress,
    images: list[str],
    methods: list[str],
    target: int | list[int] | None = None,
    layer: str | None = None,
    step: int | None = None,
) -> dict[str, Any]:
    """Where in these pictures a class's score comes from, by one or more methods.

    Args:
        images: ids, at most 24.
        methods: names of METHODS.
        target: None: the predicted class; a class; `[a, b]`: why a rather than b.
        layer: for the methods that look at one; None: chosen.
        step: of a training: gradient CAMs of probe images from the snapshot then; None: the network as it is.

    Returns:
        `methods`: one entry each. Where the method refuses: method and `refused`, the reason. Else what `column_of`
        gives, and `evidence`: verdict, images and stale of what the run keeps of just this method, layer and kind of
        target, or None.
    """
    return {"methods": [_column(subject, name, images, target, layer, step, progress) for name in methods]}


def explain(
    subject: Subject,
    *,
    progress: Progress,
    images: list[str],
    methods: list[str],
    target: int | list[int] | None = None,
    layer: str | None = None,
) -> dict[str, Any]:
    """As `why`, for methods that take long: image by image, so that it can be told how far it is."""
    found = []
    for name in methods:
        progress(name, 0, len(images))
        found.append(_column(subject, name, images, target, layer, None, progress, each=True))
    return {"methods": found}


def _column(
    subject: Subject, name: str, images: list[str], target: int | list[int] | None, layer: str | None,
    step: int | None, progress: Progress, *, each: bool = False,
) -> dict[str, Any]:  # fmt: skip
    _check_images(images)
    aim = as_target(target)
    try:
        find_method(name)
        if step is not None:
            return _snapshot_column(subject, name, images, aim, layer, step)
        explanation = explained(subject, name, images, aim, layer, progress if each else None)
    except OpsinError as error:
        return {"method": name, "refused": str(error)}
    return {**column_of(explanation), "evidence": _kept_evidence(subject, explanation, aim)}


def _snapshot_column(
    subject: Subject, name: str, images: list[str], aim: int | tuple[int, int] | None, layer: str | None, step: int
) -> dict[str, Any]:
    if isinstance(aim, tuple):
        raise OpsinError(
            "why one class rather than another takes the network, and of an earlier step only gradients are kept; "
            "choose one class, or the network as it is"
        )
    run, snapshot = subject.need_run(), _snapshot(subject, step)
    rows = _probe_rows(subject, images)
    # a layer that was chosen elsewhere may be one of which nothing was kept
    known = layer if layer in cam_layers(run, snapshot) else None
    found = snapshot_cams(run, snapshot, name, rows, aim, known)
    assert run.probe is not None
    explanation = Explanation(
        maps=np.ascontiguousarray(found.maps, np.float32),
        inputs=run.probe.images[rows].transpose(0, 3, 1, 2).astype(np.float32) / 255,
        method=name,
        options={},
        layer=found.layer,
        targets=found.targets,
        classes=subject.classes,
        names=tuple(images),
        probabilities=found.probabilities,
    )
    return {
        **column_of(explanation),
        "notes": [spoken(note) for note in found.notes],
        "step": snapshot.step,
        "evidence": None,
    }


def explained(
    subject: Subject, name: str, images: Sequence[str], aim: int | tuple[int, int] | None, layer: str | None,
    progress: Progress | None = None,
) -> Explanation:  # fmt: skip
    """Maps of pictures by one method; with `progress` image by image. Warnings become notes.

    Raises:
        OpsinError: the method cannot be right for the network.
    """
    inputs = subject.inputs(images)
    looks = METHODS[name].layer
    parts: list[Explanation] = []
    notes: dict[str, None] = {}
    for batch in inputs.split(1 if progress else len(inputs)):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            part = explain_images(subject.model, batch, name, aim, layer if looks else None, SEED)
        assert isinstance(part, Explanation)  # one method, one target, one layer
        notes |= dict.fromkeys(str(item.message) for item in told if issubclass(item.category, UserWarning))
        parts.append(part)
        if progress:
            progress(name, len(parts), len(inputs))
    return dataclasses.replace(_joined(parts), names=tuple(images), notes=tuple(notes))


def _joined(parts: Sequence[Explanation]) -> Explanation:
    """Explanations of some images each as one."""
    arrays = ("maps", "inputs", "targets", "against", "error", "completeness", "probabilities", "geometry")
    joined: dict[str, Any] = {"names": tuple(name for part in parts for name in part.names)}
    for field in arrays:
        values = [value for part in parts if (value := getattr(part, field)) is not None]
        joined[field] = np.concatenate(values) if len(values) == len(parts) else None
    return dataclasses.replace(parts[0], seconds=sum(part.seconds for part in parts), **joined)


def column_of(explanation: Explanation) -> dict[str, Any]:
    """An Explanation as it is sent.

    Returns:
        method, layer, seconds, evaluations, options, seed, notes (texts by language); `targets` and `against` int32
        `(n,)`; `probabilities` and `error` float32 `(n,)` or None; `maps`, `random` and `edges`: see `quantise`; the
        last two are the control maps of these very maps, as `check` draws them.
    """
    random, edges = controls.control_maps(explanation, SEED)
    return {
        "method": explanation.method,
        "layer": explanation.layer,
        "seconds": explanation.seconds,
        "evaluations": explanation.evaluations,
        "options": {**explanation.options, **explanation.used},
        "seed": explanation.seed,
        "notes": [spoken(note) for note in explanation.notes],
        "targets": explanation.targets,
        "against": explanation.against,
        "probabilities": explanation.probabilities,
        "error": explanation.error,
        "maps": quantise(explanation.maps),
        "random": quantise(random),
        "edges": quantise(edges),
    }


def as_target(target: int | list[int] | None) -> int | tuple[int, int] | None:
    """A question's target as `explain` takes it.

    Raises:
        OpsinError: it is neither a class nor a pair of them.
    """
    if target is None or isinstance(target, int):
        return target
    if len(target) != 2:
        raise OpsinError(
            f"target was given as {target}; expected a class, or two: why the first rather than the second"
        )
    return target[0], target[1]


def _check_images(images: Sequence[str]) -> None:
    if not 1 <= len(images) <= MOST_IMAGES:
        raise OpsinError(f"{len(images)} pictures were asked for; expected 1 to {MOST_IMAGES} at a time")


def _probe_rows(subject: Subject, images: Sequence[str]) -> list[int]:
    subject.seen(images)  # says which of them is not there
    others = [id for id in images if not id.startswith("probe/")]
    if others:
        raise OpsinError(
            f"of {others[0]} nothing was kept at an earlier step, only of the probe's images; choose those, or the "
            "network as it is"
        )
    return [int(id.removeprefix("probe/")) for id in images]


def _snapshot(subject: Subject, step: int) -> Snapshot:
    """What was kept at a step, or at the last one before it."""
    run = subject.need_run()
    if not run.snapshot_steps:
        raise OpsinError(f"{subject.name} keeps no snapshots; choose the network as it is")
    return run.snapshot(max((one for one in run.snapshot_steps if one <= step), default=run.snapshot_steps[0]))


def _display(model: Classifier) -> tuple[Sequence[float], Sequence[float]] | None:
    return None if model.preprocess is None else (model.preprocess.mean, model.preprocess.std)


def _described(name: str, model: Classifier | None) -> dict[str, Any]:
    method = METHODS[name]
    texts = {
        "needs": spoken(say(f"needs.{name}")),
        "cost": spoken(say(f"cost.{name}")),
        "fails": spoken(say(f"misleads.{name}")),
    }
    plain = {part: getattr(method, part) for part in ("family", "title", "layer", "class_specific", "stochastic")}
    return {"name": name, **plain, **texts, "slow": _is_slow(name, model)}


def _is_slow(name: str, model: Classifier | None) -> bool:
    if model is None or model.size is None:
        return False
    many = METHODS[name].family == "perturbation" or METHODS[name].wraps or name == "integrated_gradients"
    return many and (model.channels or 3) * model.size[0] * model.size[1] > QUICK_VALUES


def _sample(subject: Subject, model: Classifier) -> Tensor | None:
    """An input to try methods on: a picture, or noise of the size that the network says it takes."""
    first = next((f"{group}/0" for group in subject.images.groups()), None)
    try:
        return None if first is None else subject.inputs([first])
    except OpsinError:
        pass  # a network without a Preprocess takes no picture
    if model.size is None:
        return None
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(1, model.channels or 3, *model.size, generator=generator).to(model.device)


def _advice_text(advice: Recommendation) -> Text:
    reasons = [item.reason for item in (*ADVICE, BLACK_BOX)]
    return say(f"advice.{ADVICE_KEYS[reasons.index(advice.reason)]}")


def _layers(model: Classifier, sample: Tensor) -> tuple[list[dict[str, Any]], str | None]:
    """The layers with places, and the one that methods look at by themselves."""
    if isinstance(model, BlackBox):
        return [], None
    found = remembered(model, sample, "spatial layers", lambda: spatial_layers(model, sample))
    listed = [{"name": layer.name, "rows": layer.grid.height, "columns": layer.grid.width} for layer in found]
    try:
        return listed, find_layers(model, sample, None)[0].name
    except OpsinError:
        return listed, None


def _kept(item: Kept) -> dict[str, Any]:
    return {
        "verdict": item.verdict,
        "layer": item.explanation.layer,
        "images": len(item.explanation),
        "stale": item.stale,
        "against": item.explanation.against is not None,
    }


def _kept_evidence(subject: Subject, explanation: Explanation, aim: Any) -> dict[str, Any] | None:
    """What the run keeps of the same method, layer, settings and kind of target: what was measured on other images
    tells of these only then."""
    if subject.run is None or aim is not None:
        return None
    parts = ("method", "layer", "options")
    for item in subject.material.kept[0]:
        same = all(getattr(item.explanation, part) == getattr(explanation, part) for part in parts)
        if same and _counts(subject, item):
            return _kept(item)
    return None


def _counts(subject: Subject, item: Kept) -> bool:
    """Whether it was checked, for the classes that are predicted."""
    return item.verdict != NOT_CHECKED and item.explanation.against is None and _of_predicted(subject, item.explanation)


def _of_predicted(subject: Subject, explanation: Explanation) -> bool:
    """Whether it explains the classes that the run predicted for these images."""
    material = subject.material
    answers = material.answers.get("validation")
    if answers is None:
        return False
    predicted = {
        material.name(index): int(row.argmax())
        for index, row in zip(answers.index.tolist(), answers.probabilities, strict=True)
    }
    named = zip(explanation.names, explanation.targets.tolist(), strict=True)
    return all(predicted.get(name) == target for name, target in named)
