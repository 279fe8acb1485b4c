"""Windows that slide over images, as views: no number is copied until someone multiplies."""

from __future__ import annotations

import numpy as np

from opsin.scratch.shapes import Pair


def padded(x: np.ndarray, padding: Pair, value: float = 0.0) -> np.ndarray:
    """Images `(n, c, h, w)` with rows and columns of a value around them."""
    if padding == (0, 0):
        return x
    rows, columns = padding
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)), constant_values=value)


def windows(x: np.ndarray, kernel_size: Pair, stride: Pair, dilation: Pair = (1, 1)) -> np.ndarray:
    """Every window of padded images `(n, c, h, w)` as a view `(n, c, kernel rows, kernel columns, rows, columns)`.

    Entry `[n, c, a, b, i, j]` is `x[n, c, i * stride + a * dilation, j * stride + b * dilation]`: what lies under place
    (a, b) of the kernel when it stands at output (i, j).
    """
    span = tuple(gap * (kernel - 1) + 1 for kernel, gap in zip(kernel_size, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    view = view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 4, 5, 2, 3)


def put_back(grads: np.ndarray, size: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> np.ndarray:
    """The reverse of `windows`: what arrives at each place of the images, summed over the windows it was in.

    Args:
        grads: `(n, c, kernel rows, kernel columns, rows, columns)`.
        size: rows and columns of the images without padding, to which nothing comes back.

    Returns:
        `(n, c, *size)`.
    """
    n, c, kernel_rows, kernel_columns, rows, columns = grads.shape
    whole = np.zeros((n, c, size[0] + 2 * padding[0], size[1] + 2 * padding[1]), grads.dtype)
    # over the places of the kernel, of which there are few, never over those of the images
    for a in range(kernel_rows):
        for b in range(kernel_columns):
            top, left = a * dilation[0], b * dilation[1]
            bottom, right = top + (rows - 1) * stride[0] + 1, left + (columns - 1) * stride[1] + 1
            whole[:, :, top : bottom : stride[0], left : right : stride[1]] += grads[:, :, a, b]
    return whole[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]
