"""`opsin.explain`: where in its input a score comes from."""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from opsin.errors import OpsinError, did_you_mean
from opsin.explanation.guards import warn_of_input, warn_of_maps, warn_of_mode
from opsin.explanation.job import Answer, Job, Method
from opsin.explanation.known import in_faster_layout
from opsin.explanation.layers import Layer, find_layers
from opsin.explanation.methods import METHODS
from opsin.explanation.split import normal_mode
from opsin.explanation.targets import Targets, resolve_targets
from opsin.inference.answers import as_logits
from opsin.inference.engines.engine import pass_size
from opsin.inference.memory import keep_freed_memory
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier, Inputs
from opsin.models.load import load_model
from opsin.records import Explanation


def explain(
    model: Classifier | str | Path | nn.Module | Callable[[Any], Any],
    images: Any,
    method: str | Callable[..., Answer] | Sequence[str | Callable[..., Answer]] = "grad_cam",
    target: Any = None,
    layer: str | Sequence[str] | None = None,
    seed: int = 0,
    *,
    batch_size: int | None = None,
    **options: Any,
) -> Explanation | list[Explanation]:
    """Say where in its input a Classifier's score comes from, by one method or by several.

    Args:
        model: a Classifier, what `load_model` takes, or a module (images are then float tensors). For methods that need
            only scores also an ONNX file or any function `images -> scores`, from `(n, c, h, w)` to `(n, classes)`.
        images: paths, PIL images or uint8 arrays `(n, h, w, c)`, one or many, or a float tensor `(n, c, h, w)` that is
            already preprocessed.
        method: a name of `opsin.explanation.methods.METHODS`, or a function `f(job, **options) -> Answer`; or several,
            which then share the passes that they have in common: all CAMs of one layer need one.
        target: None (the predicted class); a class, by name or index, for all; a list of n, one per image; an `(n, k)`
            array or "all": k classes, in one forward pass; a pair `("cat", "dog")`: why the first rather than the
            second.
        layer: the layer to look at, by its name in `named_modules()`; several; None: chosen and reported.
        seed: of a stochastic method's draws.
        batch_size: images per pass; None: as many as are fast, fewer of large ones.
        options: settings of the method; of several methods those that all of them have.

    Returns:
        One Explanation; or a list of them, one per class where k classes were asked for, one per layer where several
        layers were (classes of the first layer first), one per method (all of the first method first).

    Raises:
        OpsinError: the method cannot be right for this network, or an argument is wrong; the message says why.
    """
    keep_freed_memory()
    classifier = as_classifier(model)
    asked = _asked(classifier, method, layer, options)
    warn_of_mode(classifier)
    given = open_inputs(classifier, images)
    inputs = given.tensor
    with normal_mode(), torch.no_grad():
        inputs = in_faster_layout(classifier, inputs.clone() if inputs.is_inference() else inputs)
        layers = find_layers(classifier, inputs, layer) if any(one.looks for one in asked) else []
        chances = _run_all(
            asked, classifier, inputs, layers, target, seed, pass_size(inputs) if batch_size is None else batch_size
        )
    found = [
        _record(classifier, one, given._replace(tensor=inputs), chances, place, at, column, seed)
        for one in asked
        for at, place in enumerate(layers if one.looks else [None])
        for column in range(one.answers[0].targets.count)
    ]
    listed = asked[0].answers[0].targets.listed or not _is_one(method) or not (layer is None or isinstance(layer, str))
    return found if listed else found[0]


@dataclass
class _Asked:
    """A method that was asked for, with its settings; then its answers per batch and the seconds that they took."""

    method: Method
    name: str
    settings: dict[str, Any]
    inner: Method | None
    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def looks(self) -> bool:
        """Whether it looks at a layer."""
        return self.method.layer or (self.inner is not None and self.inner.layer)


def _is_one(method: Any) -> bool:
    return isinstance(method, str) or callable(method)


def _asked(classifier: Classifier, method: Any, layer: Any, options: Mapping[str, Any]) -> list[_Asked]:
    found = []
    for item in [method] if _is_one(method) else method:
        chosen, name = find_method(item)
        settings = check_options(chosen, name, options)
        one = _Asked(chosen, name, settings, find_inner(chosen, name, settings))
        _require_inside(classifier, chosen, name)
        if layer is not None and not one.looks and _is_one(method):
            raise OpsinError(f"{name} looks at no layer, so layer={layer!r} has no effect; leave it out")
        found.append(one)
    if not found:
        raise OpsinError("no method was given; give a name such as grad_cam, or several (see opsin methods)")
    if layer is not None and not any(one.looks for one in found):
        raise OpsinError(f"none of the methods looks at a layer, so layer={layer!r} has no effect; leave it out")
    return found


def _run_all(
    asked: Sequence[_Asked], classifier: Classifier, inputs: Tensor, layers: list[Layer], target: Any, seed: int,
    batch_size: int,
) -> list[np.ndarray | None]:  # fmt: skip
    """Fill in the answers; returns the targets' probabilities float32 `(n, t)`, per batch."""
    chances = []
    if batch_size < 1:
        raise OpsinError(f"batch_size was given as {batch_size}; expected at least 1")
    for start in range(0, len(inputs), batch_size):
        rows = slice(start, start + batch_size)
        resolver = _Resolver(target, rows, len(inputs), classifier)
        job = Job(classifier, inputs[rows], resolver, layers, seed)
        for one in asked:
            began = time.perf_counter()
            own = job if one.inner is None else dataclasses.replace(job, inner=one.inner)
            one.answers.append(one.method.run(own, **one.settings))
            one.seconds += time.perf_counter() - began
        chances.append(resolver.chances)
    return chances


def find_method(method: str | Callable[..., Answer]) -> tuple[Method, str]:
    """The method of a name, or a person's own function as one.

    Raises:
        OpsinError: there is no method of that name.
    """
    if callable(method):
        own = Method(
            method, "perturbation", getattr(method, "__name__", "own"), needs="", cost="", fails="", layer=True
        )
        return own, own.title
    if method not in METHODS:
        raise OpsinError(f"there is no method {method!r}{did_you_mean(method, list(METHODS))}; see opsin methods")
    return METHODS[method], method


def check_options(method: Method, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a method: those given, and the defaults of the others.

    Raises:
        OpsinError: the method has no such setting.
    """
    parameters = list(inspect.signature(method.run).parameters.values())[1:]
    known = {item.name: item.default for item in parameters if item.kind is not item.VAR_KEYWORD}
    for option in given:
        if option not in known and not any(item.kind is item.VAR_KEYWORD for item in parameters):
            settings = ", ".join(known) or "none"
            raise OpsinError(f"{name} has no setting {option!r}{did_you_mean(option, list(known))}; it has {settings}")
    return {**known, **given}


def find_inner(method: Method, name: str, settings: dict[str, Any]) -> Method | None:
    """The method that `method` wraps, or None; its settings are checked and added to `settings`.

    Raises:
        OpsinError: there is no such method, it wraps one itself, or it has no such setting.
    """
    if not method.wraps:
        return None
    inner, title = find_method(settings["of"])
    if inner.wraps:
        raise OpsinError(f"{name} was asked to wrap {title}, which wraps a method itself; give one such as saliency")
    own = inspect.signature(method.run).parameters
    extra = {option: settings.pop(option) for option in list(settings) if option not in own}
    # a setting that both have is the wrapper's, which hands it on
    settings.update(
        {option: value for option, value in check_options(inner, title, extra).items() if option not in own}
    )
    settings["of"] = title
    return inner


def as_classifier(model: Classifier | str | Path | nn.Module | Callable[[Any], Any]) -> Classifier:
    """A Classifier of whatever was given as a model."""
    if isinstance(model, Classifier):
        return model
    if isinstance(model, str | Path):
        return load_model(model)
    # not load_model, which puts a module into evaluation mode for good
    return Classifier(model) if isinstance(model, nn.Module) else BlackBox(model)


def _require_inside(model: Classifier, method: Method, name: str) -> None:
    if isinstance(model, BlackBox) and not method.black_box:
        possible = ", ".join(title for title, other in METHODS.items() if other.black_box)
        raise OpsinError(
            f"{name} looks inside the network, and of {model.label} only the scores are known; use one of {possible}"
        )


def open_inputs(model: Classifier, images: Any) -> Inputs:
    """The network's input, a name per image, and where each lies in its original.

    Raises:
        OpsinError: there is no image, one cannot be read, or a value is NaN or infinite.
    """
    if isinstance(images, list | tuple) and not len(images):
        raise OpsinError("no images were given; give one or more paths, pictures, or a float tensor (n, c, h, w)")
    given = model.placed_inputs(images)
    inputs, names, unreadable = given.tensor, given.names, given.unreadable
    if unreadable:
        raise OpsinError(
            f"{unreadable[0].path} cannot be read: {unreadable[0].reason}; {len(unreadable)} of "
            f"{len(unreadable) + len(names)} images: leave them out"
        )
    if not len(inputs):
        raise OpsinError("no images were given; give one or more paths, pictures, or a float tensor (n, c, h, w)")
    if not bool(torch.isfinite(inputs.sum())):  # one fast look; only a sum that is not finite is looked into
        strange = (~torch.isfinite(inputs).flatten(1).all(dim=1)).nonzero()
        if len(strange):
            raise OpsinError(f"{names[int(strange[0])]} holds NaN or infinite values; give finite pixels")
    warn_of_input(inputs, names)
    return given._replace(tensor=inputs.detach())


class _Resolver:
    """Turns the logits of some images into their Targets, and keeps the probabilities of these: the pass that a method
    makes anyway tells them. A target per image is cut to these images."""

    def __init__(self, target: Any, rows: slice, images: int, model: Classifier) -> None:
        self._target, self._rows, self._images, self._model = target, rows, images, model
        self._chances: np.ndarray | None = None

    def __call__(self, logits: Tensor) -> Targets:
        targets = self._resolve(logits)
        self._chances = _chances(logits.detach(), targets)
        return targets

    @property
    def chances(self) -> np.ndarray | None:
        """float32 `(n, t)`: the probability of each target, or None where the method asked for no targets."""
        return self._chances

    def _resolve(self, logits: Tensor) -> Targets:
        target, images = self._target, self._images
        names = self._model.classes or ()
        if not _one_per_image(target):
            return resolve_targets(target, logits, names)
        if len(target) != images:
            raise OpsinError(
                f"{len(target)} targets were given for {images} images; give one per image, or one class for all"
            )
        each = target.tolist() if isinstance(target, Tensor | np.ndarray) else list(target)
        return resolve_targets(each[self._rows], logits, names)


def _chances(scores: Tensor, targets: Targets) -> np.ndarray:
    """float32 `(n, t)`: probabilities of the target classes."""
    shares = as_logits(scores.double()).softmax(dim=1)
    return shares.gather(1, targets.classes.to(shares.device)).float().cpu().numpy()


def _one_per_image(target: Any) -> bool:
    pair = isinstance(target, tuple) and len(target) == 2
    return not pair and not isinstance(target, str) and hasattr(target, "__len__")


def _record(
    model: Classifier, asked: _Asked, given: Inputs, chances: Sequence[np.ndarray | None], layer: Layer | None, at: int,
    column: int, seed: int,
) -> Explanation:  # fmt: skip
    answers, method = asked.answers, asked.name
    maps = np.concatenate([answer.maps[at][:, column].float().cpu().numpy() for answer in answers])
    notes = warn_of_maps(maps, given.names, method)
    known = [rows[:, column] for rows in chances if rows is not None]

    def joined(part: str) -> np.ndarray | None:
        values = [getattr(answer, part) for answer in answers]
        if any(value is None for value in values):
            return None
        return np.concatenate([value[at][:, column].float().cpu().numpy() for value in values])

    against = [answer.targets.against for answer in answers]
    return Explanation(
        maps=np.ascontiguousarray(maps, np.float32),
        inputs=given.tensor.float().cpu().numpy(),
        method=method,
        options=asked.settings,
        layer=layer.name if layer else "",
        targets=torch.cat([answer.targets.classes[:, column] for answer in answers]).numpy(),
        classes=model.classes or (),
        names=given.names,
        against=None if against[0] is None else torch.cat([a[:, column] for a in against if a is not None]).numpy(),
        seed=seed,
        evaluations=answers[0].evaluations,
        seconds=asked.seconds,
        error=joined("error"),
        completeness=joined("completeness"),
        probabilities=np.concatenate(known) if len(known) == len(chances) else None,
        geometry=given.geometry,
        display=None if model.preprocess is None else (model.preprocess.mean, model.preprocess.std),
        notes=notes,
        used=_used(answers),
    )


def _used(answers: Sequence[Answer]) -> dict[str, Any]:
    """What was used for all batches: the largest of numbers, and every name."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for answer in answers for name in answer.used):
        values = [answer.used[name] for answer in answers if name in answer.used]
        numbers = [value for value in values if isinstance(value, float)]
        found[name] = max(numbers) if numbers else ", ".join(dict.fromkeys(map(str, values)))
    return found
