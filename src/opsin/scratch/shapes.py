"""What fits into what: the arithmetic of sizes, and errors that explain it."""

from __future__ import annotations

import numpy as np

Pair = tuple[int, int]


def pair(value: int | Pair, name: str, smallest: int) -> Pair:
    """A setting for rows and columns: one number stands for both.

    Raises:
        ValueError: it is no whole number, or too small.
    """
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(number, int | np.integer) and number >= smallest for number in both):
        raise ValueError(
            f"{name} was given as {value!r}; expected whole numbers of at least {smallest}, one or (rows, columns)"
        )
    return int(both[0]), int(both[1])


def output_size(size: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """Rows and columns of the output: `floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1`.

    A kernel of k places, with gaps between them where dilation is above 1, spans `dilation (k - 1) + 1` places. It has
    room for `size + 2 padding - span` steps of one place, of which every `stride`-th is taken, and stands once before
    the first step.

    Raises:
        ValueError: the kernel is larger than the padded input.
    """
    found = []
    for length, kernel, step, pad, gap in zip(size, kernel_size, stride, padding, dilation, strict=True):
        span = gap * (kernel - 1) + 1
        room = length + 2 * pad - span
        if room < 0:
            raise ValueError(
                f"a kernel that spans {span} places does not fit into {length} + 2 x {pad} (padding) = "
                f"{length + 2 * pad}; make the kernel smaller, or the padding at least {pad + (1 - room) // 2}"
            )
        found.append(room // step + 1)
    return found[0], found[1]


def checked_images(x: np.ndarray, layer: str, channels: int | None = None) -> np.ndarray:
    """The input of a layer that looks at images.

    Raises:
        ValueError: it is no float array `(n, channels, height, width)` of finite numbers.
    """
    checked_numbers(x, layer)
    if x.ndim != 4:
        raise ValueError(
            f"{layer} was given an array of shape {x.shape}; expected (images, channels, height, width): a single grey "
            "picture (height, width) becomes one by picture[None, None]"
        )
    if channels is not None and x.shape[1] != channels:
        raise ValueError(
            f"{layer} has {channels} input channels and was given {x.shape[1]}, in an array of shape {x.shape}; the "
            "channels are the second axis"
        )
    return x


def checked_numbers(x: np.ndarray, layer: str) -> None:
    """See that a layer gets finite floating-point numbers.

    Raises:
        ValueError: integers (a gradient cannot flow through them), NaN or infinities.
    """
    if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.floating):
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise ValueError(
            f"{layer} was given numbers of type {kind}; expected a float array: pixels 0..255 become one by "
            "(pixels / 255).astype(numpy.float32)"
        )
    # one sum instead of a look at every number: NaN and infinity spread into it
    if not np.isfinite(x.sum()) and not np.isfinite(x).all():
        raise ValueError(
            f"{layer} was given {int((~np.isfinite(x)).sum())} numbers that are NaN or infinite; look at what was "
            "divided by zero in the data, or lower the learning rate where training diverged"
        )
