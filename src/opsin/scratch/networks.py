"""Layers in a row, and two networks that many learn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np

from opsin.scratch.layer import Layer
from opsin.scratch.layers import AvgPool2D, Conv2D, Dropout, Flatten, Linear, MaxPool2D, ReLU, Tanh
from opsin.scratch.shapes import Pair, output_size, pair


class Sequential(Layer):
    """Layers one after the other; the way back goes through them in reverse order, each with its own last input.

    Args:
        layers: the layers; or layers by name. Without names they are called 0, 1, ... as in PyTorch.
    """

    def __init__(self, layers: Iterable[Layer] | Mapping[str, Layer]) -> None:
        super().__init__()
        # a mapping is iterable too, over its names
        named = layers if isinstance(layers, Mapping) else {str(at): layer for at, layer in enumerate(layers)}
        self._layers: dict[str, Layer] = {str(name): layer for name, layer in named.items()}

    def __getitem__(self, name: str) -> Layer:
        return self._layers[name]

    def children(self) -> Mapping[str, Layer]:
        return self._layers

    def forward(self, x: np.ndarray) -> np.ndarray:
        for layer in self._layers.values():
            x = layer.forward(x)
        return x

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        for layer in reversed(self._layers.values()):
            grad_output = layer.backward(grad_output)
        return grad_output

    def outputs(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """What every layer gives for an input, by name, in order."""
        found: dict[str, np.ndarray] = {}
        for name, layer in self._layers.items():
            x = found[name] = layer.forward(x)
        return found

    def gradients_at(self, grad_output: np.ndarray, name: str) -> np.ndarray:
        """The gradient with respect to the *output* of the layer `name`, after a forward pass.

        Raises:
            ValueError: there is no such layer.
        """
        if name not in self._layers:
            raise ValueError(f"there is no layer {name!r}; expected one of {', '.join(self._layers)}")
        for own, layer in reversed(self._layers.items()):
            if own == name:
                break
            grad_output = layer.backward(grad_output)
        return grad_output


class LeNet5(Sequential):
    """LeNet-5 (LeCun et al. 1998): conv 5x5x6, pool, conv 5x5x16, pool, fc 120, fc 84, fc classes.

    On 28 px the first convolution needs a padding of 2, so that `fc1` gets 16 x 5 x 5 numbers as on the paper's 32 px:
    28 -> 28 -> 14 -> 10 -> 5. Without it these are 16 x 4 x 4.

    Args:
        classes, channels: of the answers and of the images.
        size: height and width of the images in pixels, or their edge.
        activation: `tanh` as in the paper, or `relu`.
        pooling: `average` as in the paper, or `max`.
        seed: of the first weights.
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 1,
        size: int | Pair = 28,
        activation: Literal["tanh", "relu"] = "tanh",
        pooling: Literal["average", "max"] = "average",
        *,
        seed: int = 0,
    ) -> None:
        random, size = np.random.default_rng(seed), pair(size, "size", 1)
        squash = {"tanh": Tanh, "relu": ReLU}[activation]
        pool = {"average": AvgPool2D, "max": MaxPool2D}[pooling]
        padding = 2 if min(size) < 32 else 0
        rows, columns = _behind(size, ((5, 1, padding), (2, 2, 0), (5, 1, 0), (2, 2, 0)))
        super().__init__({
            "conv1": Conv2D(channels, 6, 5, padding=padding, seed=random),
            "activation1": squash(),
            "pool1": pool(2),
            "conv2": Conv2D(6, 16, 5, seed=random),
            "activation2": squash(),
            "pool2": pool(2),
            "flatten": Flatten(),
            "fc1": Linear(16 * rows * columns, 120, seed=random),
            "activation3": squash(),
            "fc2": Linear(120, 84, seed=random),
            "activation4": squash(),
            "fc3": Linear(84, classes, seed=random),
        })  # fmt: skip


class SeedCNN(Sequential):
    """conv 3x3x32, ReLU, pool, conv 3x3x64, ReLU, pool, fc 128, ReLU, fc classes, without padding:
    28 -> 26 -> 13 -> 11 -> 5, so that `fc1` gets 64 x 5 x 5 = 1600 numbers (not 64 x 13 x 13).

    Args:
        classes, channels: of the answers and of the images.
        size: height and width of the images in pixels, or their edge.
        dropout: share of `fc1`'s outputs that training sets to zero.
        seed: of the first weights.
    """

    def __init__(
        self, classes: int = 10, channels: int = 1, size: int | Pair = 28, dropout: float = 0.0, *, seed: int = 0
    ) -> None:
        random, size = np.random.default_rng(seed), pair(size, "size", 1)
        rows, columns = _behind(size, ((3, 1, 0), (2, 2, 0), (3, 1, 0), (2, 2, 0)))
        super().__init__({
            "conv1": Conv2D(channels, 32, 3, seed=random),
            "relu1": ReLU(),
            "pool1": MaxPool2D(2),
            "conv2": Conv2D(32, 64, 3, seed=random),
            "relu2": ReLU(),
            "pool2": MaxPool2D(2),
            "flatten": Flatten(),
            "fc1": Linear(64 * rows * columns, 128, seed=random),
            "relu3": ReLU(),
            "dropout": Dropout(dropout, seed=random),
            "fc2": Linear(128, classes, seed=random),
        })  # fmt: skip


def _behind(size: Pair, steps: Iterable[tuple[int, int, int]]) -> Pair:
    """Rows and columns behind convolutions and pools of (kernel, stride, padding)."""
    for kernel, stride, padding in steps:
        size = output_size(size, (kernel, kernel), (stride, stride), (padding, padding))
    return size
