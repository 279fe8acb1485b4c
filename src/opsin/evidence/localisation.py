"""Whether maps lie where they should: in a known region, or in the cell of a mosaic that shows the class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_dilation
from torch import Tensor

from opsin.errors import OpsinError
from opsin.models.classifier import Classifier

CONFIDENT = 0.5  # more likely than all other classes together
CELLS = 4
MOST_MOSAICS = 25


def as_regions(regions: Any, images: int, size: tuple[int, int]) -> np.ndarray:
    """bool `(n, h, w)` of masks of that shape, or of boxes `(n, 4)`: top, left, bottom, right in input pixels, the last
    two not inside.

    Raises:
        OpsinError: another shape, or a region without any place: nothing could hit it.
    """
    given = np.asarray(regions)
    if given.shape == (images, 4) and given.dtype != bool:
        rows, columns = np.arange(size[0])[:, None], np.arange(size[1])
        top, left, bottom, right = given.T[:, :, None, None]
        given = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    if given.shape != (images, *size):
        raise OpsinError(
            f"regions of shape {given.shape} were given; expected masks {(images, *size)} or boxes ({images}, 4): top, "
            "left, bottom, right, one per image, at the input's size"
        )
    given = given.astype(bool)
    empty = np.flatnonzero(~given.any(axis=(1, 2)))
    if len(empty):
        raise OpsinError(
            f"the region of image {empty[0]} is empty ({len(empty)} of {images} are); leave out images that do not "
            "show what is looked for"
        )
    return given


def pointing(stack: np.ndarray, regions: np.ndarray, tolerance: int) -> np.ndarray:
    """Pointing game (Zhang et al. 2018): whether the highest place lies in the region or at most `tolerance` pixels
    beside it, along rows and columns.

    Args:
        stack: float `(m, n, h, w)`: m maps of each image.
        regions: bool `(n, h, w)`.
        tolerance: pixels; published figures use 15 at about 500 x 375.

    Returns:
        float64 `(m, n)`: 1 or 0; of several equally high places the share that hits: a flat map has chance level.
    """
    if tolerance < 0:
        raise OpsinError(f"tolerance was given as {tolerance}; expected 0 or more pixels")
    if tolerance:
        square = np.ones((1, 2 * tolerance + 1, 2 * tolerance + 1), bool)
        regions = binary_dilation(regions, square)
    highest = stack == stack.max(axis=(-2, -1), keepdims=True)
    return (highest & regions).sum(axis=(-2, -1)) / highest.sum(axis=(-2, -1))


def energy(stack: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """float64 `(m, n)`: the share of a map's positive part that lies in the region (Wang et al. 2020, Score-CAM,
    section 4.3); 0 where nothing is positive."""
    positive = np.maximum(stack, 0).astype(np.float64)
    whole = positive.sum(axis=(-2, -1))
    return np.divide((positive * regions).sum(axis=(-2, -1)), whole, out=np.zeros(whole.shape), where=whole > 0)


@dataclass(frozen=True)
class Mosaics:
    """Pictures of 2 x 2 images of four classes.

    Attributes:
        inputs: float `(k, c, h, w)`.
        targets: int64 `(k, 4)`: the class in each cell: top left, top right, bottom left, bottom right.
        halved: whether each image was shrunk to half, since the network takes no larger input.
    """

    inputs: Tensor
    targets: np.ndarray
    halved: bool

    def cells(self) -> np.ndarray:
        """bool `(4, h, w)`: the cells."""
        height, width = self.inputs.shape[-2:]
        lower, right = np.arange(height)[:, None] >= height // 2, np.arange(width) >= width // 2
        return np.stack([~lower & ~right, ~lower & right, lower & ~right, lower & right])


def build_mosaics(model: Classifier, inputs: Tensor, seed: int) -> Mosaics:
    """Up to MOST_MOSAICS mosaics of images that the model recognises with a probability of at least CONFIDENT, the
    surest of each class first (grid pointing game, Boehle et al. 2021). No image is used twice.

    Raises:
        OpsinError: fewer than four classes are recognised with confidence.
    """
    confidence, predicted = model.logits(inputs).double().softmax(dim=1).max(dim=1)
    rng = np.random.default_rng(seed)
    order = np.argsort(confidence.numpy(), kind="stable")
    order = order[confidence.numpy()[order] >= CONFIDENT]
    left = {c: [int(i) for i in order if predicted[i] == c] for c in predicted[order].unique().tolist()}
    chosen = []
    while len(left) >= CELLS and len(chosen) < MOST_MOSAICS:
        # the classes with most images first, or mosaics would end early
        ahead = sorted(left, key=lambda c: (-len(left[c]), rng.random()))[:CELLS]
        chosen.append(rng.permutation([left[c].pop() for c in ahead]))
        left = {c: rest for c, rest in left.items() if rest}
    if not chosen:
        raise OpsinError(
            f"a mosaic needs images of {CELLS} classes that are recognised with a probability of at least {CONFIDENT}; "
            f"there are {len(left)}"
        )
    places = torch.from_numpy(np.stack(chosen))
    first, second, third, fourth = (inputs[places[:, i].to(inputs.device)] for i in range(CELLS))
    tiled = torch.cat([torch.cat([first, second], dim=3), torch.cat([third, fourth], dim=3)], dim=2)
    halved = not _takes(model, tiled[:1])
    if halved:
        tiled = F.interpolate(tiled, size=inputs.shape[-2:], mode="area")
    return Mosaics(tiled, predicted[places].numpy(), halved)


def grid_pointing(
    mosaics: Mosaics, explain_cells: Callable[[Mosaics], np.ndarray], controls: Callable[[Tensor], Tensor]
) -> np.ndarray:
    """The share of each map's positive part that lies in the cell of its class; chance is a quarter.

    Args:
        mosaics: k of them.
        explain_cells: gives maps float32 `(k, 4, h, w)`: of the class of each cell.
        controls: turns maps `(k, h, w)` into a stack `(m, k, h, w)`, the maps first.

    Returns:
        float64 `(m, 4 k)`.
    """
    maps = torch.from_numpy(explain_cells(mosaics))
    parts = [
        energy(controls(maps[:, i]).cpu().numpy(), np.broadcast_to(cell, maps[:, i].shape))
        for i, cell in enumerate(mosaics.cells())
    ]
    return np.concatenate(parts, axis=1)


def _takes(model: Classifier, inputs: Tensor) -> bool:
    try:
        model.logits(inputs)
    except OpsinError:
        return False
    return True
