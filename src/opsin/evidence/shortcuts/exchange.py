"""Exchanging a part of images: what the network answers when a place shows what other images have there."""

from __future__ import annotations

import numpy as np

from opsin.evidence.shortcuts.boxes import Box, inside
from opsin.evidence.shortcuts.images import Network


def paste(onto: np.ndarray, parts: np.ndarray, box: Box) -> np.ndarray:
    """uint8 `(n, h, w, c)`: copies of `onto` that show `parts` `(n, h, w, c)` inside the box."""
    rows, columns = inside(box)
    changed = onto.copy()
    changed[:, rows, columns] = parts[:, rows, columns]
    return changed


def turned(network: Network, onto: np.ndarray, parts: np.ndarray, box: Box, label: int) -> tuple[np.ndarray, float]:
    """Bool `(n,)`: which images are called `label` once the box shows `parts`, and the mean probability of `label`."""
    probabilities = network.probabilities(paste(onto, parts, box))
    return probabilities.argmax(axis=1) == label, float(probabilities[:, label].mean())
