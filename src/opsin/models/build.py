"""Building a Classifier from a name: the zoo, timm, torchvision, a person's own code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, did_you_mean, first_line
from opsin.models.classifier import Classifier
from opsin.models.sources import own_code, packaged, timm_networks, torchvision_networks
from opsin.models.sources.names import is_code
from opsin.models.sources.order import Delivery, Order, Size, seeded
from opsin.models.zoo.index import ZOO

TRIED_SIZES = (8, 12, 16, 28, 32, 48, 64, 96, 128, 160, 224, 299, 384)


def build_model(
    name: str | Callable[..., Any],
    classes: int | Sequence[str] | None = None,
    channels: int = 3,
    size: int | Size | None = None,
    pretrained: bool = False,
    *,
    preprocess: Preprocess | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Classifier:
    """Build a network and wrap it with its class names and its Preprocess.

    Args:
        name: a network of the zoo (`seed_cnn`, `simple_cnn`, `lenet5`, `conv_bn`, `resnet_small`,
            `vit_small`, `efficientnet_lite0`), `timm/NAME`, `torchvision/NAME`, `my.py:CNN`,
            `module:callable`, or the class itself. Own code is run: name only code that you trust.
        classes: the class names in order, or their number (they are then called `0`, `1`, ...). Without them
            pretrained weights bring their own.
        channels: channels of the input, 1 (grey) to 4 (colour with alpha).
        size: height and width of the input in pixels, one number for a square, None for the network's own.
        pretrained: start from trained weights; the network is then in evaluation mode, as one that is loaded.
        preprocess: how a picture becomes the input; it then decides channels and size. Without it pretrained
            weights bring theirs, and fresh ones get values scaled to -1..1.
        options: the network's own arguments, such as `{"widths": (16, 32, 64)}`.
        seed: draw fresh weights from this seed; the caller's random state is left as it was.

    Raises:
        OpsinError: the name, an option or the size is not known to the network, or weights could not be
            fetched.
    """
    if isinstance(classes, int | np.integer):
        names, count = None, check_count(int(classes))
    else:
        names = None if classes is None else class_names(classes)
        count = None if names is None else len(names)
    channels, pair = _input_shape(channels, size, preprocess)
    label = name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
    order = Order(label, count, channels, pair, pretrained, dict(options or {}))
    with seeded(seed):
        delivery = _build(order, name)
    if delivery.classes is not None:
        names = delivery.classes
    elif names is None and count is not None:
        names = tuple(map(str, range(count)))
    architecture = {
        "channels": delivery.channels,
        "size": list(delivery.size) if delivery.size else None,
        "pretrained": pretrained,
        "options": copy.deepcopy(dict(options or {})),
    }
    if delivery.source is not None:
        architecture["source"] = delivery.source
    if pretrained:
        delivery.module.eval()  # to be used as it is; training sets its own mode
    if delivery.check and delivery.size is not None:
        _check_input(order.name, delivery, channels, delivery.size)
    return Classifier(
        delivery.module,
        names,
        preprocess or delivery.preprocess,
        name=name if isinstance(name, str) else None,
        options=architecture,
    )


def class_names(classes: Sequence[Any]) -> tuple[str, ...]:
    """The class names as a tuple of texts.

    Raises:
        OpsinError: fewer than two, or two that are equal.
    """
    if isinstance(classes, str):
        raise OpsinError(f"classes was given as the text {classes!r}; expected a sequence of names or their number")
    names = tuple(str(name) for name in classes)
    check_count(len(names))
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise OpsinError(f"classes holds {twice[0]!r} more than once; expected names that differ: rename one")
    return names


def check_count(count: int) -> int:
    """The number of classes as given, if it is at least two.

    Raises:
        OpsinError: it is smaller.
    """
    if count < 2:
        raise OpsinError(f"classes was given as {count}; a classifier needs at least 2 classes to choose from")
    return count


def _input_shape(channels: int, size: int | Size | None, preprocess: Preprocess | None) -> tuple[int, Size | None]:
    pair = _pair(size)
    if channels not in (1, 2, 3, 4):
        raise OpsinError(f"channels was given as {channels}; expected 1 (grey), 2 (grey and alpha), 3 (colour) or 4")
    if preprocess is None:
        return channels, pair
    own = (preprocess.height, preprocess.width)
    if pair not in (None, own) or channels not in (3, preprocess.channels):
        raise OpsinError(
            f"channels={channels} and size={size} do not agree with the Preprocess, which makes "
            f"{preprocess.channels} channels of {own[0]} x {own[1]} pixels; leave them out when a Preprocess "
            "is given"
        )
    return preprocess.channels, own


def _pair(size: int | Size | None) -> Size | None:
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    if len(sides) != 2 or any(not isinstance(side, int | np.integer) or side < 1 for side in sides):
        raise OpsinError(f"size was given as {size}; expected a number of pixels, or (height, width), at least 1")
    return int(sides[0]), int(sides[1])


def _build(order: Order, name: str | Callable[..., Any]) -> Delivery:
    if not isinstance(name, str):
        if isinstance(name, nn.Module) or not callable(name):
            raise OpsinError(
                f"build_model was given a {type(name).__name__}; it builds from a name or a class: wrap a "
                "network that exists with opsin.Classifier(module, classes=..., preprocess=...)"
            )
        return own_code.build(order, name)
    if is_code(name):
        return own_code.build(order)
    source, slash, inner = name.partition("/")
    builders = {"timm": timm_networks.build, "torchvision": torchvision_networks.build}
    if name not in ZOO and not (slash and source in builders):
        raise OpsinError(
            f"there is no network {name!r}{did_you_mean(name, list(ZOO))}; expected one of {', '.join(ZOO)}, "
            "timm/NAME, torchvision/NAME, or your own as my.py:CLASS"
        )
    if order.classes is None and not order.pretrained:
        raise OpsinError(f"{name} was asked for without classes; give their names or their number: classes=10")
    if name in ZOO:
        return packaged.build(order)
    return builders[source](Order(inner, order.classes, order.channels, order.size, order.pretrained, order.options))


def _check_input(name: str, delivery: Delivery, channels: int, size: Size) -> None:
    """Run one empty picture through, without doing the arithmetic, to see that the size is legal."""
    problem = _trial(delivery, channels, size)
    if problem is None:
        return
    larger = [side for side in TRIED_SIZES if side > min(size)]
    works = next((side for side in larger if _trial(delivery, channels, (side, side)) is None), None)
    advice = f"try {works} x {works} pixels" if works else "leave out the size to get the network's own"
    raise OpsinError(f"{name} cannot take {size[0]} x {size[1]} pixels: {problem}; {advice}")


def _trial(delivery: Delivery, channels: int, size: Size) -> str | None:
    frames = [delivery.frames] if delivery.frames else []
    return why_unfit(delivery.module, (1, channels, *frames, *size))


def why_unfit(module: nn.Module, shape: Sequence[int]) -> str | None:
    """Why the network cannot take one input of this shape, or None. Runs on shapes alone (PyTorch's meta device)."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            try:
                torch.func.functional_call(module, shapes, (torch.empty(*shape, device="meta"),))
            except Exception:
                # Some networks make tensors on the way that shapes alone cannot follow: then do the arithmetic.
                module(torch.zeros(*shape))
    except (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError) as error:
        return first_line(error)
    finally:
        for part, mode in training.items():
            part.training = mode
    return None


def rebuild(
    architecture: Mapping[str, Any], classes: Sequence[str] | None, preprocess: Preprocess | None
) -> Classifier:
    """Build again, with fresh weights, what `Classifier.architecture()` described.

    Raises:
        OpsinError: the description has no name to build from, or the network cannot be built.
    """
    name = architecture.get("name")
    if not name:
        raise OpsinError(
            "the network was a wrapped object and cannot be built from its description; give the module: "
            "load_model(..., module=my_network)"
        )
    size = architecture.get("size")
    return build_model(
        name,
        classes if classes is not None else architecture.get("classes"),
        int(architecture.get("channels") or 3) if preprocess is None else preprocess.channels,
        None if preprocess is not None or size is None else (int(size[0]), int(size[1])),
        preprocess=preprocess,
        options=architecture.get("options") or {},
    )
