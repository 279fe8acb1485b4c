"""The arithmetic of layer sizes, shared by the networks of the zoo."""

from __future__ import annotations

from opsin.errors import OpsinError

Size = tuple[int, int]


def after(size: Size, kernel: int, *, stride: int = 1, padding: int = 0) -> Size:
    """Height and width behind a convolution or pooling: `floor((size + 2 padding - kernel) / stride) + 1`."""
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in size)
    return height, width


def require_at_least(network: str, size: Size, smallest: int) -> None:
    """Refuse an input with a side shorter than `smallest` pixels.

    Raises:
        OpsinError: the input is too small for the network's poolings and unpadded convolutions.
    """
    if min(size) < smallest:
        raise OpsinError(
            f"{network} was given {size[0]} x {size[1]} pixels and needs at least {smallest} x {smallest}; "
            "choose a larger size or a network with fewer poolings"
        )
