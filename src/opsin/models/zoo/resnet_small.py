"""`resnet_small`: residual blocks for images of 28 to 64 pixels.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition" (2016), section 4.2: a 3x3 stem without
pooling, then stages of basic blocks, each stage halving the size and widening the channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.models.zoo.sizes import Size, require_at_least


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to the input, which a 1x1 convolution fits where needed."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
        )
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs, h, w)` to `(n, outputs, h / stride, w / stride)`, rounded up."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu2(y + self.shortcut(x))


class SmallResNet(nn.Module):
    """A 3x3 stem, stages of residual blocks, global average pooling, one linear layer.

    Args:
        classes: number of classes.
        channels: channels of the input.
        size: height and width of the input in pixels, each at least 8.
        widths: channels of each stage; every stage but the first halves height and width.
        blocks: residual blocks per stage.
        dropout: share of the pooled features that training sets to zero, 0..1.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        size: Size,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not widths or blocks < 1:
            raise OpsinError(
                f"resnet_small was given widths {tuple(widths)} and {blocks} blocks; expected at least one of each"
            )
        require_at_least("resnet_small", size, 8)
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu1 = nn.ReLU()
        inputs = (widths[0], *widths)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    ResidualBlock(inputs[stage], width, stride=1 if stage == 0 else 2),
                    *(ResidualBlock(width, width, stride=1) for _ in range(blocks - 1)),
                )
                for stage, width in enumerate(widths)
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, height, width)` to logits `(n, classes)`."""
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.pool(self.stages(x))
        return self.fc(self.dropout(torch.flatten(x, 1)))


def resnet_small(
    classes: int,
    channels: int,
    size: Size,
    widths: Sequence[int] = (16, 32, 64),
    blocks: int = 2,
    dropout: float = 0.0,
) -> nn.Module:
    """A `SmallResNet`."""
    return SmallResNet(classes, channels, size, widths, blocks, dropout)
