"""`seed_cnn`: the two-convolution network from which most people learn, without padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from opsin.models.zoo.sizes import Size, after, require_at_least


class SeedCNN(nn.Module):
    """conv 3x3x32, ReLU, pool, conv 3x3x64, ReLU, pool, fc 128, ReLU, fc classes.

    The convolutions have no padding: a 28 px input becomes 26, 13, 11, 5, so that `fc1` takes 64 x 5 x 5 =
        1600 numbers.

    Args:
        classes: number of classes.
        channels: channels of the input.
        size: height and width of the input in pixels, each at least 10.
        dropout: share of `fc1`'s outputs that training sets to zero, 0..1.
    """

    def __init__(self, classes: int, channels: int, size: Size, dropout: float = 0.0) -> None:
        super().__init__()
        require_at_least("seed_cnn", size, 10)
        self.conv1 = nn.Conv2d(channels, 32, 3)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        height, width = after(after(after(after(size, 3), 2, stride=2), 3), 2, stride=2)
        self.fc1 = nn.Linear(64 * height * width, 128)
        self.relu3 = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, height, width)` to logits `(n, classes)`."""
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        x = self.relu3(self.fc1(torch.flatten(x, 1)))
        return self.fc2(self.dropout(x))


def seed_cnn(classes: int, channels: int, size: Size, dropout: float = 0.0) -> nn.Module:
    """A `SeedCNN`; on 28 x 28 grey pixels and 10 classes it has 225,034 parameters."""
    return SeedCNN(classes, channels, size, dropout)
