"""A person's own class, opened to look at it: also without weights, and without being told the size of its input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch.nn.parameter import is_lazy

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.inference.named import channels_of, open_named, outputs_of
from opsin.models.build import build_model, why_unfit
from opsin.models.classifier import Classifier
from opsin.models.sources.names import is_code
from opsin.models.sources.own_code import CHANNELS, CLASSES, resolve
from opsin.models.weights import read_state

# One of each step of networks that halve their pictures: a network that flattens them fits one of these at most.
USUAL_SIDES = (28, 32, 64, 96, 128, 160, 192, 224, 256, 299, 384, 512)
SOME_CLASSES = 10  # of an untrained network whose class asks how many


def open_to_look(
    model: str,
    *,
    weights: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    classes: Sequence[str] | None = None,
    mean: float = 0.5,
    std: float = 0.5,
) -> Classifier:
    """As `open_named` does; of `my.py:CNN`, weights and size can be left out. The size is then the only usual one that
    the network takes; without weights it is as its class makes it.

    Raises:
        OpsinError: nothing can be opened there, or several sizes, or none, would do.
    """
    if is_code(model):
        made = _make(model, channels, classes)
        state = read_state(weights)[0] if weights is not None else made.module.state_dict()
        known = {key: value for key, value in state.items() if not is_lazy(value)}
        channels = channels or channels_of(known)
        classes = classes or [str(index) for index in range(outputs_of(known, weights or model))]
        size = size or _only_side(model, made if weights is None else _make(model, channels, classes), channels)
        if weights is None:
            preprocess = Preprocess.simple(channels=channels, size=size, mean=mean, std=std)
            untrained = build_model(model, classes, preprocess=preprocess, seed=0)
            untrained.module.eval()
            return untrained
    return open_named(model, weights=weights, size=size, channels=channels, classes=classes, mean=mean, std=std)


def _make(model: str, channels: int | None, classes: Sequence[str] | None) -> Classifier:
    """The network with what its class is called with by default."""
    target = resolve(model)
    return build_model(
        model,
        len(classes) if classes else _default(target, CLASSES) or SOME_CLASSES,
        channels or _default(target, CHANNELS) or 3,
    )


def _default(target: Callable[..., Any], names: Sequence[str]) -> int | None:
    """The default of the argument that is called so."""
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return None
    found = next((parameters[name].default for name in names if name in parameters), None)
    return found if isinstance(found, int) else None


def _only_side(model: str, made: Classifier, channels: int) -> int:
    made.module.eval()
    reasons = {side: why_unfit(made.module, (1, channels, side, side)) for side in USUAL_SIDES}
    fitting = [side for side, reason in reasons.items() if reason is None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        sides = ", ".join(map(str, fitting[:3]))
        raise OpsinError(f"{model} takes pictures of {sides} ... pixels; give the side that it is made for: --size 32")
    first = USUAL_SIDES[0]
    raise OpsinError(
        f"{model} fails on pictures of every usual size; with {first} x {first} pixels: {reasons[first]}; give the "
        f"side that it is made for, or look where it fails: opsin studio {model} --size {first}"
    )
