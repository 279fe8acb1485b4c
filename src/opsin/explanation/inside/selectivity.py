"""How selective a channel is for a class, and whether chance explains it."""

from __future__ import annotations

from typing import Any

import numpy as np

SHUFFLES = 199
MOST_KEPT = 2**22  # values of activity that are kept for the control


def selectivity_index(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class selectivity index (Morcos et al. 2018, On the importance of single directions for generalization, section
    2.3): (largest class mean - mean of the other class means) / (their sum).

    Args:
        means: float64 `(c, classes)`, mean activity per channel and class, none below 0.

    Returns:
        float64 `(c,)` in 0..1, 0 for a channel without activity; int64 `(c,)`: the class with the largest mean.
    """
    preferred = means.argmax(axis=1)
    largest = means[np.arange(len(means)), preferred]
    rest = (means.sum(axis=1) - largest) / (means.shape[1] - 1)
    total = largest + rest
    index = np.divide(largest - rest, total, out=np.zeros(len(means)), where=total > 0)
    return np.clip(index, 0, 1), preferred


def chance_control(
    activity: np.ndarray, labels: np.ndarray, shuffles: int = SHUFFLES, seed: int = 0
) -> tuple[np.ndarray, dict[str, Any]]:
    """How often labels that mean nothing make some channel look as selective.

    The labels are shuffled over the images. Each channel's index is put in units of the spread that it has over the
    shuffles, and compared with the largest of all channels in each shuffle (the maxT procedure of Westfall and Young
    1993, Resampling-based multiple testing): what falls below 0.05 is selective although many channels were asked.

    Args:
        activity: float `(n, c)`, none below 0.
        labels: int `(n,)`.
        shuffles: how many.
        seed: of the shuffles.

    Returns:
        p-values float64 `(c,)`; the protocol.
    """
    rng = np.random.default_rng(seed)
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])

    def index(rows: np.ndarray) -> np.ndarray:
        sums = np.add.reduceat(activity[rows], starts, axis=0, dtype=np.float64)
        return selectivity_index((sums / counts[:, None]).T)[0]

    # the labels as they are count as one of the arrangements, which makes the test exact
    found = np.stack([index(order), *(index(rng.permutation(len(labels))) for _ in range(shuffles))])
    spread = found.std(axis=0)
    # an index that no shuffle changes (activity on a single image) says nothing
    scores = np.divide(found - found.mean(axis=0), spread, out=np.zeros_like(found), where=spread > 1e-12)
    largest = scores.max(axis=1)
    p_values = (largest[None] >= scores[0][:, None] - 1e-12).mean(axis=1)
    protocol = {
        "activity": "mean over places of max(activation, 0)", "source": "Morcos et al. 2018",
        "control": "labels shuffled, maxT over channels (Westfall and Young 1993)", "shuffles": shuffles,
        "images": len(labels), "seed": seed,
    }  # fmt: skip
    return p_values, protocol
