"""Cross-correlation and convolution of one picture with one kernel: what the deep-learning word hides."""

from __future__ import annotations

import numpy as np

from opsin.scratch.shapes import output_size
from opsin.scratch.windows import windows


def cross_correlate(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`y[i, j] = sum over a, b of kernel[a, b] * picture[i + a, j + b]`: the kernel is laid on the picture as it is.

    This is what `Conv2D` of every deep-learning library computes.

    Args:
        picture: `(h, w)`.
        kernel: `(a, b)`, no larger than the picture.

    Returns:
        `(h - a + 1, w - b + 1)`: a 3 x 3 picture and a 3 x 3 kernel give one number.

    Raises:
        ValueError: the kernel is larger than the picture.
    """
    output_size(picture.shape, kernel.shape, (1, 1), (0, 0))
    seen = windows(picture[None, None], kernel.shape, (1, 1))[0, 0]
    return np.einsum("ab,abij->ij", kernel, seen)


def convolve(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`y[i, j] = sum over a, b of kernel[-1 - a, -1 - b] * picture[i + a, j + b]`: the kernel is turned by 180 degrees
    first. Only so is convolution commutative, and equal to a product of spectra.

    A network learns its kernels: learnt for the one operation they are those of the other, turned. It makes no
    difference for a kernel that is its own turn, such as a blur, and changes the sign of an edge filter.
    """
    return cross_correlate(picture, kernel[::-1, ::-1])
