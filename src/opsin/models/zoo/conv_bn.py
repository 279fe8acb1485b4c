"""`conv_bn`: a plain stack of 3x3 convolutions with batch normalisation, strong on small images for its cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.models.zoo.sizes import Size, require_at_least

Activation = Literal["relu", "gelu", "silu", "hardswish"]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
}


class ConvBlock(nn.Module):
    """conv 3x3 (padding 1, no bias: the normalisation has one), batch normalisation, activation, maybe a pool."""

    def __init__(self, inputs: int, outputs: int, activation: Activation, pool: bool, skip: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.activation = ACTIVATIONS[activation]()
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.skip = skip and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs, h, w)` to `(n, outputs, h, w)`, or half of h and w behind a pool."""
        y = self.activation(self.bn(self.conv(x)))
        return self.pool(x + y if self.skip else y)


class ConvBN(nn.Module):
    """Blocks of convolution, batch normalisation and activation, then global average pooling, dropout and one
    linear layer.

    Args:
        classes: number of classes.
        channels: channels of the input.
        size: height and width of the input in pixels, at least 2 to the number of pools.
        widths: output channels of each convolution.
        pools: the convolutions (counted from 1) that a max pool of 2 follows.
        activation: `relu`, `gelu`, `silu` or `hardswish`.
        skip: add a block's input to its output where both have the same width.
        dropout: share of the pooled features that training sets to zero, 0..1.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        size: Size,
        widths: Sequence[int] = (16, 32, 56, 88, 88),
        pools: Sequence[int] = (1, 3),
        activation: Activation = "relu",
        skip: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not widths or any(pool not in range(1, len(widths) + 1) for pool in pools):
            raise OpsinError(
                f"conv_bn was given widths {tuple(widths)} and pools {tuple(pools)}; expected at least one "
                "width, and pools that name convolutions counted from 1"
            )
        require_at_least("conv_bn", size, 2 ** len(set(pools)))
        inputs = (channels, *widths)
        self.blocks = nn.Sequential(
            *(
                ConvBlock(inputs[index], width, activation, index + 1 in pools, skip)
                for index, width in enumerate(widths)
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, height, width)` to logits `(n, classes)`."""
        x = self.pool(self.blocks(x))
        return self.fc(self.dropout(torch.flatten(x, 1)))


def conv_bn(
    classes: int,
    channels: int,
    size: Size,
    widths: Sequence[int] = (16, 32, 56, 88, 88),
    pools: Sequence[int] = (1, 3),
    activation: Activation = "relu",
    skip: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    """A `ConvBN`; with the widths and pools given here it costs 9.8 million multiply-accumulates on 28 x 28 pixels."""
    return ConvBN(classes, channels, size, widths, pools, activation, skip, dropout)
