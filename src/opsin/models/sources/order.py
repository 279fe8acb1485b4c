"""What is asked of a source of networks, and what it hands back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, did_you_mean

Size = tuple[int, int]


@dataclass(frozen=True)
class Order:
    """A network that is asked for.

    Attributes:
        name: the name inside its source (`resnet18`, not `timm/resnet18`).
        classes: number of classes, or None where the pretrained weights (or a person's own code) decide.
        channels: channels of the input, 1..4.
        size: height and width in pixels, or None for the network's own.
        pretrained: whether trained weights are wanted.
        options: the network's own arguments.
    """

    name: str
    classes: int | None
    channels: int = 3
    size: Size | None = None
    pretrained: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """A network that was built.

    Attributes:
        module: the network.
        size: height and width that it was built for, or None where it is not known.
        preprocess: what its weights (or its size) ask for, or None for a network that does not take pictures.
        classes: the class names that its weights bring, or None.
        channels: channels that it was built for, or None where a person's own code does not say.
        frames: frames per clip for a video network, whose input is `(n, channels, frames, height, width)`;
            else None.
        check: whether Opsin may run the network once to see that the size is legal.
        source: the file that a person's own class came from, or None.
    """

    module: nn.Module
    size: Size | None
    preprocess: Preprocess | None
    classes: tuple[str, ...] | None = None
    channels: int | None = None
    frames: int | None = None
    check: bool = True
    source: str | None = None


def learned_preprocess(
    channels: int,
    size: Size,
    *,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    crop: float,
    interpolation: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Preprocess:
    """The Preprocess that pretrained weights expect, carried over from RGB to `channels` channels.

    Grey takes the average of the three; an alpha channel is scaled to -1..1.
    """
    mean, std = (_carry_over(values, channels) for values in (mean, std))
    known = {"nearest", "bilinear", "bicubic", "lanczos"}
    return Preprocess(
        mode=("L", "LA", "RGB", "RGBA")[channels - 1],
        height=size[0],
        width=size[1],
        fit=fit,
        crop=crop if fit == "crop" else 1.0,
        interpolation=interpolation if interpolation in known else "bilinear",  # type: ignore[arg-type]
        mean=mean,
        std=std,
    )


def _carry_over(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    colour = tuple(map(float, values)) if channels >= 3 else (sum(values) / len(values),)
    return (*colour, 0.5) if channels in (2, 4) else colour


def check_options(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that `factory` does not take.

    Raises:
        OpsinError: names the unknown option and the known ones.
    """
    parameters = inspect.signature(factory).parameters
    if any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
        return
    known = [key for key in parameters if key not in ("classes", "channels", "size")]
    for key in options:
        if key not in known:
            raise OpsinError(
                f"{name} was given the unknown option {key!r}{did_you_mean(key, known)}; "
                f"its options are {', '.join(known) or 'none'}"
            )


def refuse_in_place(module: nn.Module) -> nn.Module:
    """Make activations and dropout write to new tensors, so that a hook sees what its own layer gave."""
    for layer in module.modules():
        if getattr(layer, "inplace", None) is True:
            layer.inplace = False  # type: ignore[assignment]
    return module


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw fresh weights from `seed`, and leave the caller's random state as it was. None draws from the caller's."""
    if seed is None:
        yield
        return
    # Weights are drawn on the CPU: only its generator is touched (torch.manual_seed would reseed the accelerators).
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
