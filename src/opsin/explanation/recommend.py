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
    """

    kind: str
    method: str
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)


# In this order: the first whose method a network does not refuse.
ADVICE = (
    Advice(
        "maps averaged and read by one linear layer (ResNet, EfficientNet, RegNet, Swin ...)",
        "softmax_cam",
        "costs one pass and keeps classes apart: on mosaics of four photographs, 95 % of the map lay on the right one "
        "(Grad-CAM: 76 %; EfficientNet-Lite0)",
    ),
    Advice(
        "transformers that attend over the whole picture (ViT, DeiT, BEiT ...)",
        "grad_attention_rollout",
        "follows attention through all blocks, for the class that is asked for",
    ),
    Advice(
        "other networks with places (VGG, LeNet, MobileNetV3 ...)",
        "grad_cam",
        "costs about one pass, and its weights are those of the class",
    ),
    Advice(
        "networks that keep no places, but have gradients",
        "integrated_gradients",
        "needs no layer with places, and its map adds up to the score",
    ),
)
BLACK_BOX = Advice(
    "black boxes (an ONNX file, a function)",
    "rise",
    "needs scores only, and says its own error",
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
