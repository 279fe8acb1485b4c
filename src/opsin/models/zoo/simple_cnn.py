"""`simple_cnn`: the smallest useful network, with padded convolutions that keep the size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from opsin.models.zoo.sizes import Size, require_at_least


class SimpleCNN(nn.Module):
    """conv 3x3x16, ReLU, pool, conv 3x3x32, ReLU, pool, fc classes; padding 1 keeps height and width.

    Args:
        classes: number of classes.
        channels: channels of the input.
        size: height and width of the input in pixels, each at least 4.
        widths: channels of the two convolutions.
        dropout: share of the last features that training sets to zero, 0..1.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        size: Size,
        widths: tuple[int, int] = (16, 32),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_at_least("simple_cnn", size, 4)
        first, second = widths
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(second * (size[0] // 4) * (size[1] // 4), classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, height, width)` to logits `(n, classes)`."""
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        return self.fc(self.dropout(torch.flatten(x, 1)))


def simple_cnn(
    classes: int, channels: int, size: Size, widths: tuple[int, int] = (16, 32), dropout: float = 0.0
) -> nn.Module:
    """A `SimpleCNN`."""
    return SimpleCNN(classes, channels, size, widths, dropout)
