"""The networks of the zoo by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from opsin.models.zoo.conv_bn import conv_bn
from opsin.models.zoo.efficientnet_lite import efficientnet_lite0
from opsin.models.zoo.lenet5 import lenet5
from opsin.models.zoo.resnet_small import resnet_small
from opsin.models.zoo.seed_cnn import seed_cnn
from opsin.models.zoo.simple_cnn import simple_cnn
from opsin.models.zoo.sizes import Size
from opsin.models.zoo.vit_small import vit_small

# Each is called as f(classes: int, channels: int, size: (height, width), and its own options by name).
ZOO: dict[str, Callable[..., nn.Module]] = {
    "seed_cnn": seed_cnn,
    "simple_cnn": simple_cnn,
    "lenet5": lenet5,
    "conv_bn": conv_bn,
    "resnet_small": resnet_small,
    "vit_small": vit_small,
    "efficientnet_lite0": efficientnet_lite0,
}

# The size in pixels that a network gets when none is asked for.
NATURAL_SIZE: dict[str, Size] = {
    "seed_cnn": (28, 28),
    "simple_cnn": (28, 28),
    "lenet5": (28, 28),
    "conv_bn": (28, 28),
    "resnet_small": (32, 32),
    "vit_small": (32, 32),
    "efficientnet_lite0": (224, 224),
}
