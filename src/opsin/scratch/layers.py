"""The layers of a convolutional network, each with its forward and its backward pass beside each other.

Arrays are `(n, c, h, w)`: images, channels, rows, columns. L is the loss; `grad_output` is dL/dy and what `backward`
returns is dL/dx. Arguments and attributes are named as in PyTorch, and the numbers are the same.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from opsin.scratch.layer import Layer
from opsin.scratch.shapes import Pair, checked_images, checked_numbers, output_size, pair
from opsin.scratch.windows import padded, put_back, windows

Seed = int | np.random.Generator


class Conv2D(Layer):
    """Slides small kernels over images: each output is the sum of a window times a kernel, plus a bias.

        y[n, o, i, j] = bias[o] + sum over c, a, b of  weight[o, c, a, b] * x[n, c, i * stride + a, j * stride + b]

    This is cross-correlation: deep learning calls it convolution although the kernel is not flipped (see
    `opsin.scratch.correlation`). A weight is used at every place (i, j), so its gradient is a sum over all places; an
    input is seen by every window that it lies in, so its gradient is a sum over these:

        dL/dweight[o, c, a, b] = sum over n, i, j of  dL/dy[n, o, i, j] * x[n, c, i * stride + a, j * stride + b]
        dL/dbias[o]            = sum over n, i, j of  dL/dy[n, o, i, j]
        dL/dx[n, c, u, v]      = sum of  dL/dy[n, o, i, j] * weight[o, c, a, b]  over all  o, i, j, a, b
                                 with  i * stride + a = u  and  j * stride + b = v

    Args:
        in_channels, out_channels: how many maps come in and go out.
        kernel_size, stride, padding, dilation: one number, or one for rows and one for columns. Padding adds zeros
            around the images; dilation is the distance between neighbouring places of the kernel.
        groups: the channels are divided into so many groups that do not see each other; `in_channels` groups make a
            depthwise convolution.
        bias: whether there is one.
        seed: of the first weights, uniform in +-1/sqrt(inputs of one output), as PyTorch draws them.

    Raises:
        ValueError: a setting is out of range, or groups do not divide the channels.
    """

    learnt = ("weight", "bias")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{groups} groups do not divide {in_channels} input and {out_channels} output channels evenly; give a "
                "number of groups that divides both"
            )
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight, self.bias = first_weights(shape, bias, seed)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """`(n, in_channels, h, w)` to `(n, out_channels, rows, columns)`."""
        checked_images(x, "Conv2D", self.in_channels)
        self._size = x.shape[2:]
        rows, columns = output_size(self._size, self.kernel_size, self.stride, self.padding, self.dilation)
        self._seen = windows(padded(x, self.padding), self.kernel_size, self.stride, self.dilation)
        y = (self._matrix() @ self._columns()).reshape(len(x), self.out_channels, rows, columns)
        return y if self.bias is None else y + self.bias[:, None, None]

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        n, _, rows, columns = grad_output.shape
        grad = grad_output.reshape(n, self.groups, -1, rows * columns)
        grad_weight = (grad @ self._columns().swapaxes(2, 3)).sum(axis=0)
        self.grads = {"weight": grad_weight.reshape(self.weight.shape)}
        if self.bias is not None:
            self.grads["bias"] = grad_output.sum(axis=(0, 2, 3))
        grad_columns = self._matrix().swapaxes(1, 2) @ grad
        grad_windows = grad_columns.reshape(n, self.in_channels, *self.kernel_size, rows, columns)
        return put_back(grad_windows, self._size, self.stride, self.padding, self.dilation)

    def _columns(self) -> np.ndarray:
        """One column for each place (i, j), with all that its window shows: the sum becomes a matrix product. They take
        as many times the room of the input as the kernel has places, so they are made twice rather than kept."""
        return self._seen.reshape(len(self._seen), self.groups, -1, self._seen.shape[4] * self._seen.shape[5])

    def _matrix(self) -> np.ndarray:
        """The kernels as matrices `(groups, outputs of a group, numbers of a window)`."""
        return self.weight.reshape(self.groups, self.out_channels // self.groups, -1)


class MaxPool2D(Layer):
    """Keeps the largest number of each window: a feature counts wherever in the window it was found.

        y[n, c, i, j] = max over a, b of  x[n, c, i * stride + a, j * stride + b]

    Only the place of the maximum changes the output, so it alone gets the gradient (the first one where several are
    equal, as in PyTorch).

    Args:
        kernel_size: of the window.
        stride: by default the kernel size, so that windows do not overlap.
        padding: places of minus infinity around the images, at most half the kernel.

    Raises:
        ValueError: a setting is out of range.
    """

    outside: ClassVar[float] = -np.inf

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__()
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        if any(2 * pad > kernel for pad, kernel in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"padding {self.padding} is more than half the kernel {self.kernel_size}: some windows would see "
                "nothing of the image; expected at most half"
            )

    def forward(self, x: np.ndarray) -> np.ndarray:
        seen = self._seen(x)
        self._place = seen.argmax(axis=2)
        return np.take_along_axis(seen, self._place[:, :, None], axis=2)[:, :, 0]

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        n, c, rows, columns = grad_output.shape
        places = np.arange(self.kernel_size[0] * self.kernel_size[1])[:, None, None]
        grad = np.where(self._place[:, :, None] == places, grad_output[:, :, None], 0)
        grad_windows = grad.reshape(n, c, *self.kernel_size, rows, columns)
        return put_back(grad_windows, self._size, self.stride, self.padding)

    def _seen(self, x: np.ndarray) -> np.ndarray:
        """`(n, c, places of the window, rows, columns)`: what each window shows."""
        checked_images(x, type(self).__name__)
        n, c, *size = x.shape
        self._size = (size[0], size[1])
        rows, columns = output_size(self._size, self.kernel_size, self.stride, self.padding)
        seen = windows(padded(x, self.padding, self.outside), self.kernel_size, self.stride)
        return seen.reshape(n, c, -1, rows, columns)


class AvgPool2D(MaxPool2D):
    """Takes the mean of each window; every place in it gets an equal share of the gradient.

        y[n, c, i, j] = mean over a, b of  x[n, c, i * stride + a, j * stride + b]

    Padding is zeros, and they count as numbers of the window.
    """

    outside = 0.0

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self._seen(x).mean(axis=2)

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        n, c, rows, columns = grad_output.shape
        share = grad_output / (self.kernel_size[0] * self.kernel_size[1])
        grad_windows = np.broadcast_to(share[:, :, None, None], (n, c, *self.kernel_size, rows, columns))
        return put_back(grad_windows, self._size, self.stride, self.padding)


class Linear(Layer):
    """Every output sees every input: a matrix product plus a bias.

        y = x @ weight.T + bias        dL/dweight = dL/dy.T @ x        dL/dx = dL/dy @ weight

    Args:
        in_features, out_features: how many numbers of an image come in and go out.
        bias: whether there is one.
        seed: of the first weights; see `Conv2D`.
    """

    learnt = ("weight", "bias")

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, seed: Seed = 0) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight, self.bias = first_weights((out_features, in_features), bias, seed)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """`(n, in_features)` to `(n, out_features)`."""
        checked_numbers(x, "Linear")
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(
                f"Linear takes (images, {self.in_features}) and was given an array of shape {x.shape}; maps become one "
                "row per image by Flatten, and a row has channels x height x width numbers"
            )
        self._x = x
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        self.grads = {"weight": grad_output.T @ self._x}
        if self.bias is not None:
            self.grads["bias"] = grad_output.sum(axis=0)
        return grad_output @ self.weight


class ReLU(Layer):
    """Keeps what is positive: `y = max(x, 0)`. The gradient passes where x was above 0, and nowhere else."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._open = x > 0
        return np.maximum(x, 0)

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * self._open


class Tanh(Layer):
    """Squeezes numbers into -1..1, as in LeNet-5: `y = tanh(x)`, with the slope `1 - y ** 2`."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._y = np.tanh(x)
        return self._y

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        return grad_output * (1 - self._y**2)


class Flatten(Layer):
    """Writes all numbers of an image in one row, channel by channel; the way back only gives them their places."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """`(n, c, h, w)` to `(n, c * h * w)`."""
        self._shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        return grad_output.reshape(self._shape)


class BatchNorm2D(Layer):
    """Gives every channel mean 0 and variance 1 over the batch, then a scale and a shift that are learnt (Ioffe and
    Szegedy 2015).

        z = (x - mean) / sqrt(variance + eps)        y = weight * z + bias

    In training mean and variance are those of the batch, and they depend on every x: hence the two terms that the
    gradient loses. In evaluation they are the running averages of training, never those of what is looked at: an
    image's answer must not depend on its neighbours.

        dL/dx = weight / sqrt(variance + eps) * (dL/dy - mean of dL/dy - z * mean of (dL/dy * z))

    Args:
        num_features: channels.
        eps: keeps a flat channel from being divided by zero.
        momentum: the share of the newest batch in the running averages (of the unbiased variance, as in PyTorch).
    """

    learnt = ("weight", "bias")
    kept = ("running_mean", "running_var")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = np.ones(num_features, np.float32), np.zeros(num_features, np.float32)
        self.running_mean, self.running_var = np.zeros(num_features, np.float32), np.ones(num_features, np.float32)

    def forward(self, x: np.ndarray) -> np.ndarray:
        checked_images(x, "BatchNorm2D", self.num_features)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            count = x.size // self.num_features
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (variance * count / max(count - 1, 1) - self.running_var)
        self._scale = _over_channels(1 / np.sqrt(variance + self.eps)).astype(x.dtype, copy=False)
        self._z = (x - _over_channels(mean)) * self._scale
        return _over_channels(self.weight) * self._z + _over_channels(self.bias)

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        self.grads = {
            "weight": (grad_output * self._z).sum(axis=(0, 2, 3)),
            "bias": grad_output.sum(axis=(0, 2, 3)),
        }
        factor = _over_channels(self.weight) * self._scale
        if not self.training:
            return factor * grad_output
        count = grad_output.size // self.num_features
        common, along = _over_channels(self.grads["bias"] / count), _over_channels(self.grads["weight"] / count)
        return factor * (grad_output - common - self._z * along)


class Dropout(Layer):
    """Sets a share p of the numbers to zero in training and enlarges the others by `1 / (1 - p)`, so that sums stay
    alike (Srivastava et al. 2014); in evaluation it does nothing. The same numbers are closed to the gradient.

    Raises:
        ValueError: p is outside 0..1.
    """

    def __init__(self, p: float = 0.5, *, seed: Seed = 0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p was given as {p}; expected a share of 0 up to, but not including, 1")
        self.p = p
        self._random = np.random.default_rng(seed)

    def forward(self, x: np.ndarray) -> np.ndarray:
        if not self.training or self.p == 0:
            self._mask = None
            return x
        self._mask = (self._random.random(x.shape) >= self.p).astype(x.dtype) / np.asarray(1 - self.p, x.dtype)
        return x * self._mask

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        return grad_output if self._mask is None else grad_output * self._mask


class Residual(Layer):
    """Adds a layer's answer to its input (He et al. 2016): `y = body(x) + shortcut(x)`. The gradient goes both ways,
    and one of them changes nothing: that is why a hundred layers can be trained.

    Args:
        body: the layer, or a Sequential of several.
        shortcut: what x goes through beside it where its shape changes, such as a 1x1 convolution; None: nothing.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def children(self) -> dict[str, Layer]:
        return {"body": self.body} if self.shortcut is None else {"body": self.body, "shortcut": self.shortcut}

    def forward(self, x: np.ndarray) -> np.ndarray:
        y, beside = self.body(x), x if self.shortcut is None else self.shortcut(x)
        if y.shape != beside.shape:
            raise ValueError(
                f"the body gives {y.shape} and the shortcut {beside.shape}, which cannot be added; give a shortcut "
                "such as Conv2D(channels in, channels out, 1, stride) that makes them equal"
            )
        return y + beside

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        beside = grad_output if self.shortcut is None else self.shortcut.backward(grad_output)
        return self.body.backward(grad_output) + beside


def first_weights(shape: tuple[int, ...], bias: bool, seed: Seed) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights and bias, uniform in +-1/sqrt(numbers that one output sums): sums then neither fade nor grow."""
    random, inputs = np.random.default_rng(seed), int(np.prod(shape[1:]))
    bound = 1 / np.sqrt(inputs)
    weight = random.uniform(-bound, bound, shape).astype(np.float32)
    return weight, random.uniform(-bound, bound, shape[0]).astype(np.float32) if bias else None


def _over_channels(values: np.ndarray) -> np.ndarray:
    return values[:, None, None]
