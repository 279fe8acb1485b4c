"""Networks of timm: any number of classes, 1 to 4 channels, any size that the network takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, did_you_mean, first_line
from opsin.models.sources.fetch import cannot_fetch, require_reachable
from opsin.models.sources.order import (
    Delivery,
    Order,
    learned_preprocess,
    refuse_in_place,
)
from opsin.models.zoo.efficientnet_lite import imagenet_classes

FITS = {"center": "crop", "squash": "stretch", "border": "pad"}


def build(order: Order) -> Delivery:
    """Build a network of timm by its name.

    Raises:
        OpsinError: timm has no such network or no weights for it, the size is not legal, or the weights
            cannot be fetched.
    """
    if not timm.is_model(order.name):
        raise OpsinError(
            f"timm has no network {order.name!r}{did_you_mean(order.name, timm.list_models())}; "
            "timm.list_models() names them all"
        )
    arguments: dict[str, Any] = {"in_chans": order.channels, **order.options}
    if order.classes is not None:
        arguments["num_classes"] = order.classes
    if order.pretrained:
        arguments |= _weights(order.name)
    module = _create(order, arguments)
    config: dict[str, Any] = module.pretrained_cfg  # type: ignore[assignment]
    size = order.size or tuple(config["input_size"][-2:])
    if not order.pretrained:
        preprocess = Preprocess.simple(channels=order.channels, size=size)
        return Delivery(refuse_in_place(module), size, preprocess, channels=order.channels)
    preprocess = learned_preprocess(
        order.channels,
        size,
        fit=FITS.get(config.get("crop_mode") or "center", "crop"),  # type: ignore[arg-type]
        crop=float(config.get("crop_pct") or 1.0),
        interpolation=str(config.get("interpolation")),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
    names = _class_names(config) if order.classes is None else None
    return Delivery(refuse_in_place(module), size, preprocess, classes=names, channels=order.channels)


def _create(order: Order, arguments: dict[str, Any]) -> nn.Module:
    """Build with the size where the network is made for one (`img_size`), without it where any size goes through."""
    attempts = [arguments] if order.size is None else [arguments | {"img_size": order.size}, arguments]
    for attempt in attempts:
        try:
            return timm.create_model(order.name, **attempt)
        except TypeError as error:
            if "img_size" in str(error) and "img_size" in attempt:
                continue
            raise OpsinError(
                f"timm/{order.name} did not accept {sorted(attempt)}: {first_line(error)}; leave out the options"
            ) from error
        except OSError as error:
            raise cannot_fetch(f"timm/{order.name}", first_line(error)) from error
        except (AssertionError, ValueError, RuntimeError) as error:
            height, width = order.size or ("its own", "its own")
            raise OpsinError(
                f"timm/{order.name} cannot be built for {height} x {width} pixels: {first_line(error)}; "
                "leave out the size or give one that its patches and windows divide"
            ) from error
    raise AssertionError("the last attempt either returns or raises")


def _weights(name: str) -> dict[str, Any]:
    """The arguments of `create_model` that load the pretrained weights, from the local cache where they are in it."""
    config = timm.get_pretrained_cfg(name)
    if config is None or not (config.hf_hub_id or config.url or config.file):
        raise OpsinError(f"timm/{name} has no pretrained weights; use pretrained=False or a name with weights")
    cached = _cached(config.hf_hub_id, config.hf_hub_filename)
    if cached is not None:
        return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(cached)}}
    if not config.file:
        require_reachable(_address(config.hf_hub_id, config.url), f"timm/{name}")
    return {"pretrained": True}


def _cached(repository: str | None, filename: str | None) -> Path | None:
    if not repository:
        return None
    from huggingface_hub import try_to_load_from_cache

    for candidate in [filename] if filename else ["model.safetensors", "pytorch_model.bin"]:
        found = try_to_load_from_cache(repository, candidate)
        if isinstance(found, str):
            return Path(found)
    return None


def _address(repository: str | None, url: Any) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}" if repository else str(url)


def _class_names(config: dict[str, Any]) -> tuple[str, ...] | None:
    """ImageNet's names for weights that answer in its 1,000 classes or in a known subset; None for others."""
    subset = infer_imagenet_subset(config)
    if subset == "imagenet-1k":
        return imagenet_classes()
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    # Synsets of the larger sets share descriptions, and class names must differ: each gets its key.
    return tuple(
        f"{info.index_to_description(index)} ({info.index_to_label_name(index)})" for index in range(info.num_classes())
    )
