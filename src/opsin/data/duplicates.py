"""Images of validation or test that stand in another split too: as the same bytes, or nearly the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.spatial import KDTree

from opsin.data.decode import from_array
from opsin.data.sources.found import SPLITS

EDGE = 16
"""Side of a thumbnail in pixels."""

SAME = 0.045
"""Thumbnails closer than this are one picture, whatever else there is: frames of a film, another compression."""

LIKE = 0.15
"""Thumbnails further apart than this are two pictures, whatever else there is."""

OUTSTANDING = 0.4
"""In between, the copy has to be this much closer than the `CROWD`-th of the others: two plain trousers or two
handwritten ones are close to each other, but no closer than to many more."""

CROWD = 5
LISTED = 200
_DIRECTIONS = 24
_NEAREST = 8
_FLAT = 1.0  # grey levels of standard deviation below which a thumbnail shows nothing
_CHUNK = 16 * 2**20
_SAMPLE = 20_000


@dataclass(frozen=True)
class Duplicate:
    """An image and its copy in another split.

    Attributes:
        kind: `exact` (the same content hash) or `near`.
        first, second: names of the two; the first is the one in the earlier split.
        first_split, second_split: `train`, `validation` or `test`.
        distance: 0 for exact ones; for near ones that of the two thumbnails after brightness and contrast were taken
            away, 0..2: `1 - distance**2 / 2` is their correlation.
    """

    kind: str
    first: str
    second: str
    first_split: str
    second_split: str
    distance: float


def thumbnail(picture: Image.Image) -> np.ndarray:
    """uint8 `(EDGE, EDGE)` of a grey Pillow image: the whole picture, antialiased, its proportions given up."""
    return np.asarray(picture.resize((EDGE, EDGE), Image.Resampling.BILINEAR))


def thumbnails(pictures: np.ndarray) -> np.ndarray:
    """uint8 `(n, EDGE, EDGE)` of uint8 or uint16 pictures `(n, h, w)` or `(n, h, w, c)`: as `thumbnail`, but for
    rounding, and many at a time."""
    count, height, width = pictures.shape[:3]
    down, across = _triangles(height), _triangles(width).T
    out = np.empty((count, EDGE, EDGE), np.uint8)
    step = max(1, _CHUNK // (4 * height * width))
    for start in range(0, count, step):
        grey = _grey(pictures[start : start + step])
        out[start : start + step] = np.rint(down @ (grey @ across)).astype(np.uint8)
    return out


def find_duplicates(
    hashes: Sequence[str], names: Sequence[str], splits: np.ndarray, small: np.ndarray
) -> list[Duplicate]:
    """Each image of validation and test with its closest copy in an earlier split; exact ones first, then by distance.

    Near copies are the same picture stored again: another compression, size, brightness or contrast. Turned, mirrored
    and cropped ones are not found, and colour is not looked at. Copies within one split do no harm and are not listed.

    Args:
        hashes: content hash per image.
        names: what to call each image.
        splits: `train`, `validation` or `test` per image.
        small: uint8 `(n, EDGE, EDGE)` thumbnails.
    """
    exact = _exact(hashes, splits)
    found = [_pair("exact", at, copy, names, splits, 0.0) for at, copy in exact.items()]
    near = [pair for pair in _near(splits, small) if pair[0] not in exact]
    near.sort(key=lambda pair: (pair[2], pair[0]))
    return [*found, *(_pair("near", at, copy, names, splits, distance) for at, copy, distance in near)]


def _pair(kind: str, at: int, copy: int, names: Sequence[str], splits: np.ndarray, distance: float) -> Duplicate:
    return Duplicate(kind, names[copy], names[at], str(splits[copy]), str(splits[at]), round(distance, 4))


def _exact(hashes: Sequence[str], splits: np.ndarray) -> dict[int, int]:
    """Position of an image -> position of an image of the same content in an earlier split."""
    order = {name: rank for rank, name in enumerate(SPLITS)}
    first: dict[str, int] = {}
    copies = {}
    ranks = [order[name] for name in splits.tolist()]
    for at in sorted(range(len(ranks)), key=ranks.__getitem__):
        earlier = first.setdefault(hashes[at], at)
        if ranks[earlier] < ranks[at]:
            copies[at] = earlier
    return copies


def _near(splits: np.ndarray, small: np.ndarray) -> list[tuple[int, int, float]]:
    units, shown = _units(small)
    directions = _main_directions(units, np.flatnonzero(shown))
    found = []
    for later, earlier in (("validation", ["train"]), ("test", ["train", "validation"])):
        ours = np.flatnonzero((splits == later) & shown)
        theirs = np.flatnonzero(np.isin(splits, earlier) & shown)
        if len(ours) and len(theirs):
            found += _closest(units, directions, ours, theirs)
    return found


def _closest(
    units: np.ndarray, directions: np.ndarray, ours: np.ndarray, theirs: np.ndarray
) -> list[tuple[int, int, float]]:
    # a projection never lengthens a distance: whatever lies within LIKE does so in these few directions too
    tree = KDTree(units[theirs] @ directions)
    places = units[ours] @ directions
    found = _distances(units, tree, places, ours, theirs, _NEAREST, LIKE)[0]
    candidates = np.flatnonzero(found[:, 0] <= LIKE)
    if not len(candidates):
        return []
    ours = ours[candidates]
    distances, partners = _distances(units, tree, places[candidates], ours, theirs, 4 * _NEAREST, np.inf)
    crowd = distances[:, CROWD] if distances.shape[1] > CROWD else np.full(len(ours), np.inf)
    closest = distances[:, 0]
    copies = (closest <= SAME) | ((closest <= LIKE) & (closest <= OUTSTANDING * crowd))
    return [(int(ours[i]), int(partners[i, 0]), float(closest[i])) for i in np.flatnonzero(copies)]


def _distances(
    units: np.ndarray, tree: KDTree, places: np.ndarray, ours: np.ndarray, theirs: np.ndarray, count: int, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """float `(n, k)` true distances, ascending, inf where there is none, and the positions of those images."""
    _, rows = tree.query(places, k=min(count, len(theirs)), distance_upper_bound=limit, workers=-1)
    rows = rows.reshape(len(places), -1)
    missing = rows == len(theirs)
    partners = theirs[np.where(missing, 0, rows)]
    distances = np.empty(partners.shape)
    for column in range(partners.shape[1]):
        distances[:, column] = np.linalg.norm(units[partners[:, column]] - units[ours], axis=1)
    distances[missing] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, 1), np.take_along_axis(partners, order, 1)


def _units(small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 `(n, d)` of mean 0 and length 1, free of brightness and contrast, and which pictures show anything."""
    values = small.reshape(len(small), EDGE * EDGE).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
    values /= np.maximum(lengths, 1e-6)[:, None]
    return values, lengths > _FLAT * EDGE


def _main_directions(units: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """float32 `(d, k)`: the orthogonal directions in which the chosen pictures differ most."""
    sample = units[chosen[:: max(1, len(chosen) // _SAMPLE)]]
    return np.linalg.eigh(sample.T @ sample)[1][:, -_DIRECTIONS:]


def _triangles(size: int) -> np.ndarray:
    """float32 `(EDGE, size)`: Pillow's antialiased bilinear filter, a triangle around each new pixel's centre."""
    scale = size / EDGE
    centres = (np.arange(EDGE)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - centres) / max(scale, 1))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _grey(pictures: np.ndarray) -> np.ndarray:
    """float32 `(n, h, w)`, 0..255."""
    if pictures.dtype == np.uint8 and (pictures.ndim == 3 or pictures.shape[3] == 1):
        return pictures.reshape(pictures.shape[:3]).astype(np.float32)
    if pictures.dtype == np.uint8 and pictures.shape[3] == 3:
        return np.rint(pictures @ np.array([0.299, 0.587, 0.114], np.float32))  # ITU-R BT.601 luma
    return np.stack([from_array(picture, "L").pixels[..., 0] for picture in pictures]).astype(np.float32)
