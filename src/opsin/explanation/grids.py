"""Where in a layer's output the places of the picture are: feature maps, channels-last maps and token grids."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Literal

from torch import Tensor, nn

Kind = Literal["maps", "maps_last", "tokens"]
MOST_PREFIX = 16  # class, distillation and register tokens before (or behind) the patches


@dataclass(frozen=True)
class Grid:
    """How to see a layer's output as feature maps.

    Attributes:
        kind: `maps` `(n, c, h, w)`, `maps_last` `(n, h, w, c)`, `tokens` `(n, prefix + h * w, c)`.
        height, width: places of the grid.
        prefix: tokens that are no places (class and register tokens), before the others.
    """

    kind: Kind
    height: int
    width: int
    prefix: int = 0

    def maps(self, output: Tensor) -> Tensor:
        """`(..., c, h, w)` of an output with any leading axes, without copying where that can be."""
        if self.kind == "maps":
            return output
        if self.kind == "tokens":
            places = output[..., self.prefix :, :]
            output = places.reshape(*places.shape[:-2], self.height, self.width, places.shape[-1])
        return output.movedim(-1, -3)

    def output(self, maps: Tensor, like: Tensor) -> Tensor:
        """The reverse: `(n, c, h, w)` as an output such as `like`, whose prefix tokens are kept."""
        if self.kind == "maps":
            return maps
        places = maps.movedim(-3, -1)
        if self.kind == "maps_last":
            return places
        filled = like.clone()
        filled[..., self.prefix :, :] = places.reshape(*places.shape[:-3], self.height * self.width, places.shape[-1])
        return filled


def find_grid(output: Tensor, size: tuple[int, int], prefix: int | None = None) -> Grid | None:
    """The grid in a layer's output for an input of `size` (height, width), or None where there is none with more than
    one place.

    Two axes are places when their proportions are those of the input. Tokens need a number of places that fills such a
    grid once the prefix tokens are taken away: as many as the network says, or else the fewest that fit.
    """
    if output.ndim == 4:
        return _find_maps(output, size)
    if output.ndim == 3:
        return _find_tokens(output, size, prefix)
    return None


def prefix_tokens(module: nn.Module) -> int | None:
    """How many tokens of a transformer are no patches, where the network says so (timm: `num_prefix_tokens`;
    torchvision: `class_token`)."""
    number = getattr(module, "num_prefix_tokens", None)
    if isinstance(number, int):
        return number
    return 1 if getattr(module, "class_token", None) is not None else None


def _find_maps(output: Tensor, size: tuple[int, int]) -> Grid | None:
    _, first, second, third = output.shape
    if _fits(second, third, size) and second * third > 1:
        # (n, h, w, c) with w and c alike would look so too: there the first two axes fit as well, and c is the rarer
        return Grid("maps", second, third)
    if _fits(first, second, size) and first * second > 1:
        return Grid("maps_last", first, second)
    return Grid("maps", second, third) if second * third > 1 else None


def _find_tokens(output: Tensor, size: tuple[int, int], prefix: int | None) -> Grid | None:
    tokens = output.shape[1]
    for taken in (prefix,) if prefix is not None else range(min(MOST_PREFIX, tokens - 1) + 1):
        places = tokens - taken
        height, width = size
        rows = isqrt(max(places, 0) * height // width) if height != width else isqrt(max(places, 0))
        for candidate in (rows, rows + 1):
            if candidate > 0 and places % candidate == 0 and places > 1 and _fits(candidate, places // candidate, size):
                return Grid("tokens", candidate, places // candidate, taken)
    return None


def _fits(rows: int, columns: int, size: tuple[int, int]) -> bool:
    """Whether rows x columns can be the input's height and width divided by one stride and rounded."""
    height, width = size
    stride = max(height / rows, width / columns)
    return abs(height / stride - rows) <= 1 and abs(width / stride - columns) <= 1
