"""What the looks inside share: which models and which layers they take."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torch import nn

from opsin.errors import OpsinError
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier

# What these give is the output of the layer before, or (softmax) weights of attention, whose axes are no picture.
PASSED_OVER = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten, nn.Unflatten, nn.Softmax)


def require_module(model: Classifier, what: str) -> Classifier:
    """The Classifier, once it is seen to have an inside.

    Raises:
        OpsinError: only its scores are known.
    """
    if isinstance(model, BlackBox):
        raise OpsinError(f"{what} looks inside the network, and of {model.label} only the scores are known")
    return model


def require_layers(module: nn.Module, layers: str | Sequence[str]) -> list[str]:
    """The names of layers, once each is seen to exist.

    Raises:
        OpsinError: one does not exist (near names are offered), or none was given.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    known = [name for name, _ in module.named_modules() if name]
    if not names:
        raise OpsinError("no layer was named; give one or more names, or None for a choice of them")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
            raise OpsinError(f"there is no layer {name!r}; the nearest names are {', '.join(near)}")
    return list(dict.fromkeys(names))
