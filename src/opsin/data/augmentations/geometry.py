"""Where the pixels go: flips, crops and affine maps, one random map per image and one resampling in all."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

from opsin.data.augmentations.draws import coins
from opsin.errors import OpsinError

RATIO = 4 / 3
"""A random crop is at most so many times as wide as high or as high as wide, measured in shares of the picture's
sides (Szegedy et al., "Going deeper with convolutions", 2015)."""

WARP_VALUES = 2**18
"""Values that are resampled at a time: as floats they stay within a megabyte, and so in the cache."""


@dataclass(frozen=True)
class Geometry:
    """A random map of the plane per image; see `opsin.data.augment` for the settings.

    Flips and crops by whole pixels are copied. As soon as anything else is asked for, all of it becomes one affine
    map and the pixels are resampled once, bilinearly. What lies outside the picture is 0: black, and transparent
    where there is alpha.
    """

    flip: bool = False
    vertical_flip: bool = False
    crop: int = 0
    resized_crop: float | None = None
    rotate: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 `(n, h, w, c)` to uint8 `(n, h, w, c)`."""
        count, height, width, _ = pixels.shape
        if self.crop >= min(height, width):
            raise OpsinError(
                f"crop={self.crop} pads images of {height} x {width} pixels by their own size or more; "
                f"give less than {min(height, width)}"
            )
        mirrored = coins(count, generator).numpy() if self.flip else None
        overturned = coins(count, generator).numpy() if self.vertical_flip else None
        shifts = torch.randint(2 * self.crop + 1, (2, count), generator=generator).numpy() if self.crop else None
        if self._resamples:
            matrix, offset = self._map(count, (height, width), generator)
            offset = offset if shifts is None else offset + (shifts.T - self.crop)
            signs = np.stack([_signs(mirrored, count), _signs(overturned, count)], axis=1)
            return warp(pixels, signs[:, :, None] * matrix, signs * offset)
        array = pixels.numpy().copy() if shifts is None else _shifted(pixels.numpy(), self.crop, shifts)
        for flipped, axis in ((mirrored, 2), (overturned, 1)):
            if flipped is not None:
                _mirror(array, np.flatnonzero(flipped), axis)
        return torch.from_numpy(array)

    @property
    def _resamples(self) -> bool:
        return self.resized_crop is not None or any((self.rotate, self.translate, self.scale, self.shear))

    def _map(self, count: int, size: tuple[int, int], generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Of positions in the result to positions in the picture, as `warp` takes them: `(n, 2, 2)` and `(n, 2)`."""
        draws = torch.rand(5, count, generator=generator).numpy() * 2 - 1
        matrix = inverse_affine(draws[0] * self.rotate, draws[1] * self.shear, 1 + draws[2] * self.scale)
        sides = np.array([size[1], size[0]])
        moved = draws[3:].T * (self.translate * sides)
        offset = -(matrix @ moved[:, :, None])[:, :, 0]
        if self.resized_crop is None:
            return matrix, offset
        shares, middles = _crops(self.resized_crop, torch.rand(4, count, generator=generator).numpy())
        return shares[:, :, None] * matrix, shares * offset + middles * sides


def inverse_affine(angle: np.ndarray, slant: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """`(n, 2, 2)`: the inverse of shearing along x by `slant`, turning clockwise by `angle` (both in degrees) and
    scaling by `factor`, each `(n,)`; rows and columns are x and y, with y pointing down."""
    turn, slope = np.deg2rad(angle), np.tan(np.deg2rad(slant))
    cos, sin = np.cos(turn) / factor, np.sin(turn) / factor
    # the product of the three inverses, in the opposite order
    return np.stack([cos - slope * sin, sin + slope * cos, -sin, cos], axis=1).reshape(-1, 2, 2)


def warp(pixels: Tensor, matrix: np.ndarray, offset: np.ndarray) -> Tensor:
    """Resample uint8 `(n, h, w, c)` bilinearly: the pixel at u comes from `matrix @ u + offset` of its own image.

    Positions are (x, y) in pixels from the picture's middle; outside the picture everything is 0.

    Args:
        pixels: uint8 `(n, h, w, c)`.
        matrix: `(n, 2, 2)`.
        offset: `(n, 2)`.
    """
    count, height, width, channels = pixels.shape
    # grid_sample counts from -1 to 1 between the picture's edges
    maps = np.concatenate([matrix, offset[:, :, None]], axis=2) * np.array([[2 / width], [2 / height]])
    maps, places = torch.from_numpy(maps.astype(np.float32)), _places(height, width)
    at_once = max(1, WARP_VALUES // (height * width * max(channels, 2)))
    out = torch.empty_like(pixels)
    for start in range(0, count, at_once):
        part = slice(start, start + at_once)
        # one matrix product for all x and y; the permuted view spares writing the pairs side by side
        grid = (maps[part].view(-1, 3) @ places).view(-1, 2, height, width).permute(0, 2, 3, 1)
        values = pixels[part].permute(0, 3, 1, 2).float()
        found = F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        out[part] = found.add_(0.5).permute(0, 2, 3, 1)  # the cast cuts off: this rounds
    return out


@functools.lru_cache(4)
def _places(height: int, width: int) -> Tensor:
    """float32 `(3, h * w)`: x and y of every pixel from the picture's middle, and 1."""
    x = (torch.arange(width) - (width - 1) / 2).repeat(height)
    y = (torch.arange(height) - (height - 1) / 2).repeat_interleave(width)
    return torch.stack([x, y, torch.ones_like(x)])


def _crops(smallest: float, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sides `(n, 2)` of random crops and where their middles lie, as shares of width and height; (0, 0) is the middle.

    Area even over `smallest`..1, ratio of the sides even on a logarithmic scale, place even over all that lie inside;
    where a side comes out longer than the picture's, it is cut to that. `draws` are `(4, n)` in 0..1.
    """
    area = smallest + (1 - smallest) * draws[0]
    ratio = RATIO ** (2 * draws[1] - 1)
    shares = np.minimum(np.sqrt(np.stack([area * ratio, area / ratio], axis=1)), 1)
    return shares, (draws[2:].T - 0.5) * (1 - shares)


def _signs(flipped: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones(count) if flipped is None else np.where(flipped, -1.0, 1.0)


def _shifted(pixels: np.ndarray, pad: int, shifts: np.ndarray) -> np.ndarray:
    """Pad every side by `pad` pixels of 0 and cut out the old size, from column `shifts[0]` and row `shifts[1]`."""
    count, height, width, channels = pixels.shape
    padded = np.zeros((count, height + 2 * pad, width + 2 * pad, channels), np.uint8)
    padded[:, pad : pad + height, pad : pad + width] = pixels
    # all windows as a view with whole rows as the last axis, so that indexing copies row by row
    image, row, column, value = padded.strides
    shape = (count, 2 * pad + 1, 2 * pad + 1, height, width * channels)
    windows = as_strided(padded, shape, (image, row, column, row, value), writeable=False)
    return windows[np.arange(count), shifts[1], shifts[0]].reshape(pixels.shape)


def _mirror(pixels: np.ndarray, rows: np.ndarray, axis: int) -> None:
    """Mirror some images in place."""
    # a pixel as one item: NumPy copies it whole, many times faster than value by value
    whole = pixels.view(np.dtype((np.void, pixels.shape[3])))[..., 0]
    whole[rows] = np.flip(whole[rows], axis)
