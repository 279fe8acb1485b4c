"""How alike two sets of maps are: rank correlation, structural similarity, overlap of the highest places."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

from opsin.errors import OpsinError
from opsin.records import Agreement, Explanation

TOP = 0.1
WINDOW = 7  # side of the structural similarity's window, in pixels


def agreement(a: Explanation, b: Explanation, *, top: float = TOP) -> Agreement:
    """Compare two Explanations of the same images, image by image: two methods, two models, two settings.

    Args:
        a, b: Explanations of the same number of images of the same size, in the same order.
        top: the share of places that counts as what a map points at.

    Raises:
        OpsinError: they are of other images, or `top` is not between 0 and 1.
    """
    if a.maps.shape != b.maps.shape:
        raise OpsinError(
            f"maps of shape {a.maps.shape} and {b.maps.shape} were given; expected maps of the same images"
        )
    if a.inputs.shape == b.inputs.shape and not np.allclose(a.inputs, b.inputs, atol=1e-5):
        raise OpsinError("the two explanations are of other images; explain the same ones with both")
    if not 0 < top < 1:
        raise OpsinError(f"top was given as {top}; expected a share of the places between 0 and 1")
    return Agreement(spearman(a.maps, b.maps), similarity(a.maps, b.maps), top_overlap(a.maps, b.maps, top), top)


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float64 `(n,)`: Spearman's rank correlation over the places of maps `(n, h, w)`; two flat maps are alike (1), a
    flat one has nothing in common with another (0)."""
    first, second = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (a, b))
    first, second = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (first, second))
    sizes = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    product = sizes[0] * sizes[1]
    found = np.divide((first * second).sum(axis=1), product, out=np.zeros(len(a)), where=product > 0)
    return np.where((sizes[0] == 0) & (sizes[1] == 0), 1.0, found)


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float64 `(n,)`: structural similarity (Wang et al. 2004) of maps `(n, h, w)` scaled to 0..1 each."""
    side = min(WINDOW, *a.shape[1:])
    window = side - 1 + side % 2
    if window < 3:
        raise OpsinError(
            f"maps of {a.shape[1]} x {a.shape[2]} pixels are too small for a structural similarity; give 3 x 3"
        )
    pairs = zip(_scaled(a), _scaled(b), strict=True)
    return np.array([structural_similarity(one, two, data_range=1.0, win_size=window) for one, two in pairs])


def top_overlap(a: np.ndarray, b: np.ndarray, top: float) -> np.ndarray:
    """float64 `(n,)`: intersection over union of the `top` share of places of maps `(n, h, w)` with the highest values.

    Places as high as the last one that belongs to the share belong to it too; a flat map points at nothing.
    """
    first, second = (_highest(maps.reshape(len(maps), -1), top) for maps in (a, b))
    union = (first | second).sum(axis=1)
    return np.divide((first & second).sum(axis=1), union, out=np.zeros(len(a)), where=union > 0)


def _highest(flat: np.ndarray, top: float) -> np.ndarray:
    count = max(1, round(top * flat.shape[1]))
    least = np.partition(flat, -count, axis=1)[:, -count, None]
    return (flat >= least) & (flat > flat.min(axis=1, keepdims=True))


def _scaled(maps: np.ndarray) -> np.ndarray:
    low = maps.min(axis=(1, 2), keepdims=True).astype(np.float64)
    spread = maps.max(axis=(1, 2), keepdims=True) - low
    return np.divide(maps - low, spread, out=np.zeros(maps.shape), where=spread > 0)
