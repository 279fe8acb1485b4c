"""Networks of torchvision: its classifiers of pictures and of video, with any number of classes and 1 to 4 channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, did_you_mean, first_line
from opsin.models.sources.fetch import cannot_fetch, require_reachable
from opsin.models.sources.order import (
    Delivery,
    Order,
    Size,
    learned_preprocess,
    refuse_in_place,
)

FRAMES = 16
# Networks whose weights came from TensorFlow normalise inside (`transform_input`). Their Preprocess does it
# here instead, so that one network is the same with 1 or 4 channels.
OWN_NORMALISATION = ("googlenet", "inception_v3")


def build(order: Order) -> Delivery:
    """Build a classifier of torchvision by its name.

    Auxiliary outputs are left out. With channels other than 3 the first convolution is replaced: fresh
    weights are drawn with the spread of those that they replace, pretrained ones are summed or repeated over
    the channels.

    Raises:
        OpsinError: torchvision has no such classifier or no weights for it, the size is not legal, or the
            weights cannot be fetched.
    """
    pictures = torchvision.models.list_models(module=torchvision.models)
    videos = torchvision.models.list_models(module=torchvision.models.video)
    if order.name not in (*pictures, *videos):
        raise OpsinError(
            f"torchvision has no classifier {order.name!r}{did_you_mean(order.name, [*pictures, *videos])}; "
            "torchvision.models.list_models() names them all"
        )
    video = order.name in videos
    weights = _weights(order) if order.pretrained else None
    module = _create(order, weights)
    if order.pretrained and order.classes is not None:
        _replace_head(module, order.classes)
    if order.channels != 3:
        _replace_first(module, order.channels, pretrained=weights is not None)
    preset = weights.transforms() if weights is not None else None
    size = order.size or _natural_size(order.name, preset)
    names = tuple(weights.meta["categories"]) if weights is not None and order.classes is None else None
    preprocess = None if video else _preprocess(order, size, preset)
    return Delivery(
        refuse_in_place(module),
        size,
        preprocess,
        classes=_distinct(names) if names else None,
        channels=order.channels,
        frames=FRAMES if video else None,
    )


def _create(order: Order, weights: Any) -> nn.Module:
    arguments: dict[str, Any] = dict(order.options)
    if weights is None:
        arguments["num_classes"] = order.classes
    if order.name in OWN_NORMALISATION:
        arguments |= {"aux_logits": False, "transform_input": False}
        if weights is None:
            arguments["init_weights"] = True
    if order.size is not None:
        arguments |= _size_argument(order, order.size)
    try:
        return torchvision.models.get_model(order.name, weights=weights, **arguments)
    except OSError as error:
        raise cannot_fetch(f"torchvision/{order.name}", first_line(error)) from error
    except TypeError as error:
        raise OpsinError(
            f"torchvision/{order.name} did not accept {sorted(arguments)}: {first_line(error)}; leave out the options"
        ) from error
    except (AssertionError, ValueError, RuntimeError) as error:
        asked = f" at {order.size[0]} x {order.size[1]} pixels" if order.size else ""
        raise OpsinError(
            f"torchvision/{order.name} cannot be built{asked}: {first_line(error)}; leave out the size or "
            "take the network of this kind from timm/, which accepts more sizes"
        ) from error


def _size_argument(order: Order, size: Size) -> dict[str, Any]:
    """The builder's argument for the size, for the two families that are made for one."""
    if order.name.startswith("maxvit"):
        return {"input_size": size}
    if not order.name.startswith("vit_"):
        return {}
    if size[0] != size[1]:
        raise OpsinError(
            f"torchvision/{order.name} was given {size[0]} x {size[1]} pixels and takes squares only; give "
            "one number, or take timm/vit_..., which accepts any multiple of its patch"
        )
    return {"image_size": size[0]}


def _weights(order: Order) -> Any:
    weights = torchvision.models.get_model_weights(order.name)
    if not len(weights):
        raise OpsinError(f"torchvision/{order.name} has no pretrained weights; use pretrained=False")
    best = weights["DEFAULT"]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(best.url).path).name
    if not cached.is_file():
        require_reachable(best.url, f"torchvision/{order.name}")
    return best


def _natural_size(name: str, preset: Any) -> Size:
    if preset is not None:
        crop = list(preset.crop_size)
        return int(crop[0]), int(crop[-1])
    if name == "inception_v3":
        return 299, 299
    return (112, 112) if name in ("r3d_18", "mc3_18", "r2plus1d_18") else (224, 224)


def _preprocess(order: Order, size: Size, preset: Any) -> Preprocess:
    if preset is None:
        return Preprocess.simple(channels=order.channels, size=size)
    own = order.name in OWN_NORMALISATION
    return learned_preprocess(
        order.channels,
        size,
        crop=min(1.0, preset.crop_size[0] / preset.resize_size[0]),
        interpolation=preset.interpolation.value,
        mean=(0.5,) * 3 if own else tuple(preset.mean),
        std=(0.5,) * 3 if own else tuple(preset.std),
    )


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names with ` (2)`, ` (3)` ... behind those that were there before: ImageNet has two cranes."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(distinct)


def _replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, layer)


def _replace_head(module: nn.Module, classes: int) -> None:
    """Put a fresh read-out for `classes` in the place of the last layer, which is linear or a 1x1 convolution."""
    kinds = (nn.Linear, nn.Conv2d, nn.Conv3d)
    name, old = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, kinds)][-1]
    if isinstance(old, nn.Linear):
        _replace(module, name, nn.Linear(old.in_features, classes, bias=old.bias is not None))
    else:
        _replace(module, name, type(old)(old.in_channels, classes, 1, bias=old.bias is not None))


def _replace_first(module: nn.Module, channels: int, *, pretrained: bool) -> None:
    """Put a convolution for `channels` in the place of the one that reads the picture's three channels."""
    convolutions = (nn.Conv2d, nn.Conv3d)
    name, old = next((name, layer) for name, layer in module.named_modules() if isinstance(layer, convolutions))
    new = type(old)(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    with torch.no_grad():
        if pretrained:
            new.weight.copy_(adapt_weights(old.weight, channels))
        else:
            new.weight.normal_(0.0, float(old.weight.std()))
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    _replace(module, name, new)


def adapt_weights(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Weights `(outputs, 3, ...)` of a first convolution for `channels` channels: `(outputs, channels, ...)`.

    Summed for one channel, repeated and scaled by 3 / channels for more, so that grey pictures keep their
    answers.
    """
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeats = -(-channels // 3)
    return torch.cat([weight] * repeats, dim=1)[:, :channels] * (3 / channels)
