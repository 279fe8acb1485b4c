"""The loops of the textbook: the same layers, written as the formulas are read. For reading, and for tests."""

from __future__ import annotations

import numpy as np

from opsin.scratch import layers
from opsin.scratch.shapes import checked_images, output_size
from opsin.scratch.windows import padded


class Conv2D(layers.Conv2D):
    """`layers.Conv2D` with a loop for every index of its formula. Note that i and j run over the *output*."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._x = checked_images(x, "Conv2D", self.in_channels)
        rows, columns = output_size(x.shape[2:], self.kernel_size, self.stride, self.padding, self.dilation)
        around = padded(x, self.padding)
        y = np.zeros((len(x), self.out_channels, rows, columns), np.result_type(x, self.weight))
        for n in range(len(x)):
            for o in range(self.out_channels):
                for i in range(rows):
                    for j in range(columns):
                        y[n, o, i, j] = 0 if self.bias is None else self.bias[o]
                        for c, a, b, u, v in self._terms(o, i, j):
                            y[n, o, i, j] += self.weight[o, c % self.weight.shape[1], a, b] * around[n, c, u, v]
        return y

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        around = padded(self._x, self.padding)
        grad_x, grad_weight = np.zeros_like(around), np.zeros_like(self.weight, grad_output.dtype)
        grad_bias = np.zeros(self.out_channels, grad_output.dtype)
        for n, o, i, j in np.ndindex(grad_output.shape):
            grad_bias[o] += grad_output[n, o, i, j]
            for c, a, b, u, v in self._terms(o, i, j):
                own = c % self.weight.shape[1]
                grad_weight[o, own, a, b] += grad_output[n, o, i, j] * around[n, c, u, v]
                grad_x[n, c, u, v] += grad_output[n, o, i, j] * self.weight[o, own, a, b]
        self.grads = {"weight": grad_weight} if self.bias is None else {"weight": grad_weight, "bias": grad_bias}
        return _without(grad_x, self.padding)

    def _terms(self, o: int, i: int, j: int):
        """Channel, place in the kernel and place in the padded image of every product in one output."""
        share = self.in_channels // self.groups
        first = o // (self.out_channels // self.groups) * share
        for c in range(first, first + share):
            for a in range(self.kernel_size[0]):
                for b in range(self.kernel_size[1]):
                    yield c, a, b, i * self.stride[0] + a * self.dilation[0], j * self.stride[1] + b * self.dilation[1]


class MaxPool2D(layers.MaxPool2D):
    """`layers.MaxPool2D` with loops."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._x = checked_images(x, type(self).__name__)
        rows, columns = output_size(x.shape[2:], self.kernel_size, self.stride, self.padding)
        around = padded(x, self.padding, self.outside)
        y = np.zeros((*x.shape[:2], rows, columns), x.dtype)
        for n, c, i, j in np.ndindex(y.shape):
            y[n, c, i, j] = self._of(around[n, c, *self._window(i, j)])
        return y

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        around = padded(self._x, self.padding, self.outside)
        grad_x = np.zeros_like(around, grad_output.dtype)
        for n, c, i, j in np.ndindex(grad_output.shape):
            window = self._window(i, j)
            grad_x[n, c, *window] += self._share(around[n, c, *window]) * grad_output[n, c, i, j]
        return _without(grad_x, self.padding)

    def _window(self, i: int, j: int) -> tuple[slice, slice]:
        top, left = i * self.stride[0], j * self.stride[1]
        return slice(top, top + self.kernel_size[0]), slice(left, left + self.kernel_size[1])

    def _of(self, window: np.ndarray) -> float:
        return window.max()

    def _share(self, window: np.ndarray) -> np.ndarray:
        """How much each place of a window takes part in the output."""
        share = np.zeros_like(window)
        share.flat[window.argmax()] = 1
        return share


class AvgPool2D(MaxPool2D):
    """`layers.AvgPool2D` with loops."""

    outside = 0.0

    def _of(self, window: np.ndarray) -> float:
        return window.mean()

    def _share(self, window: np.ndarray) -> np.ndarray:
        return np.full_like(window, 1 / window.size)


class Linear(layers.Linear):
    """`layers.Linear` with loops."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._x = x
        y = np.zeros((len(x), self.out_features), np.result_type(x, self.weight))
        for n, o in np.ndindex(y.shape):
            y[n, o] = 0 if self.bias is None else self.bias[o]
            for i in range(self.in_features):
                y[n, o] += self.weight[o, i] * x[n, i]
        return y

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        grad_x = np.zeros_like(self._x, grad_output.dtype)
        grad_weight = np.zeros_like(self.weight, grad_output.dtype)
        for n, o in np.ndindex(grad_output.shape):
            for i in range(self.in_features):
                grad_weight[o, i] += grad_output[n, o] * self._x[n, i]
                grad_x[n, i] += grad_output[n, o] * self.weight[o, i]
        self.grads = {"weight": grad_weight}
        if self.bias is not None:
            self.grads["bias"] = np.array([sum(grad_output[:, o]) for o in range(self.out_features)])
        return grad_x


def _without(grad: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    rows, columns = padding
    return grad[:, :, rows : grad.shape[2] - rows, columns : grad.shape[3] - columns]
