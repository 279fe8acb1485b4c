"""`lenet5`: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition" (1998)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from opsin.models.zoo.sizes import Size, after, require_at_least

Activation = Literal["tanh", "relu"]
Pooling = Literal["average", "max"]


class LeNet5(nn.Module):
    """conv 5x5x6, pool, conv 5x5x16, pool, fc 120, fc 84, fc classes.

    The paper's input is 32 px. On a smaller one (the 28 px of MNIST) the first convolution gets a padding of
    2, so that `fc1` takes 16 x 5 x 5 numbers in both cases. Left out are the paper's trainable pooling, its
    sparse connections between the two convolutions and its radial-basis output.

    Args:
        classes: number of classes.
        channels: channels of the input.
        size: height and width of the input in pixels, each at least 12.
        activation: `tanh` as in the paper, or `relu`.
        pooling: `average` as in the paper, or `max`.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        size: Size,
        activation: Activation = "tanh",
        pooling: Pooling = "average",
    ) -> None:
        super().__init__()
        require_at_least("lenet5", size, 12)
        squash = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
        pool = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}[pooling]
        padding = 2 if min(size) < 32 else 0
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=padding)
        self.activation1 = squash()
        self.pool1 = pool(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.activation2 = squash()
        self.pool2 = pool(2)
        height, width = after(after(after(after(size, 5, padding=padding), 2, stride=2), 5), 2, stride=2)
        self.fc1 = nn.Linear(16 * height * width, 120)
        self.activation3 = squash()
        self.fc2 = nn.Linear(120, 84)
        self.activation4 = squash()
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, height, width)` to logits `(n, classes)`."""
        x = self.pool1(self.activation1(self.conv1(x)))
        x = self.pool2(self.activation2(self.conv2(x)))
        x = self.activation3(self.fc1(torch.flatten(x, 1)))
        return self.fc3(self.activation4(self.fc2(x)))


def lenet5(
    classes: int, channels: int, size: Size, activation: Activation = "tanh", pooling: Pooling = "average"
) -> nn.Module:
    """A `LeNet5`; on 28 x 28 grey pixels and 10 classes it has 61,706 parameters."""
    return LeNet5(classes, channels, size, activation, pooling)
