"""What much simpler methods reach on the same images: a figure means something only beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from skimage.feature import hog
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from opsin.inference.intervals import share_interval
from opsin.records import Baseline

LARGEST_SIDE = 64
SMALLEST_SIDE = 8
HOG_IMAGES = 5000
HOG_STEPS = 200
_BATCH = 64

Pixels = Callable[[np.ndarray], np.ndarray]
"""Positions int64 `(n,)` to uint8 pixels `(n, h, w, c)`."""


def score_baselines(
    pixels: np.ndarray,
    train: np.ndarray,
    train_labels: np.ndarray,
    scored: np.ndarray,
    labels: np.ndarray,
    *,
    groups: Sequence[object] | None = None,
    seed: int = 0,
) -> tuple[Baseline, ...]:
    """Majority class, nearest class mean, and HOG with logistic regression, fitted on training images.

    Pictures larger than 64 pixels are averaged down to 64, which keeps them quick. HOG (Dalal and Triggs 2005,
    Histograms of oriented gradients for human detection) needs 8 pixels and at least two classes, and takes at most
    5,000 training images, drawn by the seed.

    Args:
        pixels: uint8 `(images, h, w, c)`, a memory map or an array; it is read in batches.
        train, scored: positions in `pixels`; they share no image.
        train_labels, labels: their classes, int.
        groups: of the scored images, for the intervals.
        seed: of the draw and of the bootstrap.
    """
    majority = np.bincount(train_labels).argmax()
    small = _reader(pixels)
    means = _class_means(small, train, train_labels)
    fitted, note = _fit_hog(small, train, train_labels, seed)
    nearest, learnt = [], []
    for batch in _batches(small, scored):
        nearest.append(_nearest(means, batch))
        if fitted is not None:
            learnt.append(fitted.predict(_hog(batch)))
    answers = {
        "majority class": (np.full(len(scored), majority), ""),
        "nearest class mean": (np.concatenate(nearest), ""),
    }
    if fitted is not None:
        answers["HOG + logistic regression"] = (np.concatenate(learnt), note)
    return tuple(
        Baseline(
            name=name,
            accuracy=float((given == labels).mean()),
            interval=share_interval(given == labels, groups=groups, seed=seed),
            note=remark,
        )
        for name, (given, remark) in answers.items()
    )


def _reader(pixels: np.ndarray) -> Pixels:
    _, height, width, _ = pixels.shape
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))

    def read(positions: np.ndarray) -> np.ndarray:
        batch = pixels[positions]
        if scale == 1:
            return batch
        moved = torch.from_numpy(batch).permute(0, 3, 1, 2).float()
        averaged = torch.nn.functional.adaptive_avg_pool2d(moved, size)
        return averaged.round_().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    return read


def _batches(small: Pixels, positions: np.ndarray) -> Iterator[np.ndarray]:
    return (small(positions[start : start + _BATCH]) for start in range(0, len(positions), _BATCH))


def _class_means(small: Pixels, train: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes that occur, and the mean picture of each, float64 `(classes, values)` in 0..255."""
    classes, place, count = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), small(train[:1]).size))
    for start, batch in enumerate(_batches(small, train)):
        np.add.at(sums, place[start * _BATCH : (start + 1) * _BATCH], batch.reshape(len(batch), -1).astype(np.float64))
    return classes, sums / count[:, None]


def _nearest(means: tuple[np.ndarray, np.ndarray], batch: np.ndarray) -> np.ndarray:
    classes, pictures = means
    flat = batch.reshape(len(batch), -1).astype(np.float64)
    # |x - m|^2 without |x|^2, which is the same for every class
    return classes[((pictures**2).sum(axis=1) - 2 * flat @ pictures.T).argmin(axis=1)]


def _fit_hog(small: Pixels, train: np.ndarray, labels: np.ndarray, seed: int) -> tuple[LogisticRegression | None, str]:
    height, width = small(train[:1]).shape[1:3]
    if min(height, width) < SMALLEST_SIDE or len(np.unique(labels)) < 2:
        return None, ""
    chosen = np.arange(len(train))
    if len(train) > HOG_IMAGES:
        chosen = np.sort(np.random.default_rng(seed).choice(len(train), HOG_IMAGES, replace=False))
    features = np.concatenate([_hog(batch) for batch in _batches(small, train[chosen])])
    model = LogisticRegression(max_iter=HOG_STEPS)
    with warnings.catch_warnings():
        # a fit that is cut short is said in the note instead
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels[chosen])
    notes = [f"fitted on {len(chosen):,} of {len(train):,} training images"] if len(chosen) < len(train) else []
    if model.n_iter_.max() >= HOG_STEPS:
        notes.append(f"not converged in {HOG_STEPS} steps")
    return model, "; ".join(notes)


def _hog(batch: np.ndarray) -> np.ndarray:
    """float32 `(n, features)`: 9 orientations, cells of 8 pixels (fewer where four would not fit), blocks of 2 x 2."""
    cell = min(8, min(batch.shape[1:3]) // 4)
    colour = batch[..., : 3 if batch.shape[3] >= 3 else 1]  # without alpha
    return np.stack([hog(picture, 9, (cell, cell), (2, 2), channel_axis=-1).astype(np.float32) for picture in colour])
