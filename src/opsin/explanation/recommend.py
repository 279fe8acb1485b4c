"""Which method to begin with, by what a network can be asked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.explain import explain
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier
from opsin.records import Explanation


@dataclass(frozen=True)
class Recommendation:
    """A method to begin with.

    Attributes:
        method: its name in METHODS.
        layer: the layer that it looks at, or None.
        options: settings other than its own defaults.
        reason: why, in one sentence.
    """

    method: str
    layer: str | None
    options: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class Advice:
    """What is recommended for a kind of network.

    Attributes:
        kind: the networks, in words.
        method: a name of METHODS, which refuses other networks by itself.
        reason: why, in one sentence.
        options: settings other than the method's own defaults.
        side: the longest side in pixels of inputs that it is meant for; None: any.
    """

    kind: str
    method: str
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)
    side: int | None = None


# In this order: the first that is meant for the input and whose method the network does not refuse. What a method
# gained is the advantage of opsin.check: score over that of random maps in deletion, insertion and ROAD. No test
# image and none of scikit-image's took part in it.
ADVICE = (
    Advice(
        "inputs of up to 64 pixels",
        "integrated_gradients",
        "where a pixel is a stroke, the map of a coarse layer says little: on digits and clothes of 28 px it gained "
        "0.26 to 0.39 over random maps, the best CAM 0.04 to 0.19",
        side=64,
    ),
    Advice(
        "networks that average their maps and read them by one linear layer (ResNet, EfficientNet, RegNet, Swin)",
        "softmax_cam",
        "costs one pass, gained most over random maps on photographs (0.20; Grad-CAM 0.17, integrated gradients 0.15), "
        "and keeps classes apart: on mosaics of four photographs 95 % of the map lay on the right one (Grad-CAM 76 %)",
    ),
    Advice(
        "transformers that attend over the whole picture (ViT, DeiT, BEiT)",
        "grad_attention_rollout",
        "knows the class, and gained 0.10 to 0.25 where CAMs gained 0.02 to 0.10 (a small transformer on digits and "
        "clothes; none with weights for photographs was at hand)",
    ),
    Advice(
        "other networks with places (VGG, MobileNetV3, a flattened head)",
        "hires_cam",
        "a head that reads places apart needs gradients place by place: it gained 0.16 to 0.19, Grad-CAM 0.03 to 0.06 "
        "(LeNet-5 on digits and clothes)",
    ),
    Advice(
        "networks that keep no places, but have gradients",
        "integrated_gradients",
        "needs no layer with places, and its map adds up to the score",
    ),
)
BLACK_BOX = Advice(
    "black boxes (an ONNX file, a function)",
    "occlusion",
    "needs scores only, draws nothing at random, and gained as much as RISE with a fourth of the passes (LeNet-5 on "
    "clothes)",
)


def recommend(model: Classifier, inputs: Tensor | None = None) -> Recommendation:
    """The method to begin with for a network, and why.

    The methods of ADVICE are tried in their order, on `inputs`: one that cannot be right for the network refuses by
    itself.

    Args:
        model: the Classifier.
        inputs: float `(n, c, h, w)`, one is enough; None: noise of the size that the network says it takes.

    Raises:
        OpsinError: the network does not say which inputs it takes, or cannot take those that were given.
    """
    fallback = Recommendation(BLACK_BOX.method, None, dict(BLACK_BOX.options), BLACK_BOX.reason)
    if isinstance(model, BlackBox):
        return fallback
    one = _noise(model) if inputs is None else inputs[:1]
    model.logits(one)  # an input that the network cannot take is told here, once
    for advice in ADVICE:
        if advice.side is not None and max(one.shape[-2:]) > advice.side:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # noise is no picture
            try:
                found = explain(model, one, advice.method, target=0, **advice.options)
            except OpsinError:
                continue
        assert isinstance(found, Explanation)  # one target, one layer
        return Recommendation(advice.method, found.layer or None, dict(advice.options), advice.reason)
    return fallback


def _noise(model: Classifier) -> Tensor:
    if model.size is None:
        raise OpsinError(
            f"{model.label} does not say which size its input has; give an input to try methods on: "
            "recommend(model, inputs)"
        )
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, model.channels or 3, *model.size, generator=generator)
