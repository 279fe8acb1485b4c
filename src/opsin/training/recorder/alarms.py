"""What a person should be told at once: a class that was forgotten, a pair that was swapped, over-fitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FORGOTTEN_BELOW = 0.5  # of the recall that the class had at its best
KNOWN_ABOVE = 0.5  # recall from which on a class counts as having been learnt
ENOUGH_IMAGES = 10  # of a class, below which its recall jumps by itself
SWAPPED_ABOVE = 0.5  # share of a class that is called by the other's name, in both directions
PATIENCE = 3  # epochs in a row of falling training loss and rising validation loss
LARGER_BY = 1.05  # the validation loss must also stand this much above its best


def epoch_alarms(epochs: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Alarms of the last of these epochs (lines of `epochs.jsonl`, oldest first)."""
    if not epochs or "confusion" not in epochs[-1]:
        return []
    return [*_forgotten(epochs, classes), *_swapped(epochs[-1], classes), *_over_fitting(epochs)]


def _forgotten(epochs: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> list[dict[str, Any]]:
    recalls = np.array([_recalls(epoch) for epoch in epochs])
    best, now = recalls.max(axis=0), recalls[-1]
    enough = np.sum(epochs[-1]["confusion"], axis=1) >= ENOUGH_IMAGES
    lost = np.flatnonzero(enough & (best >= KNOWN_ABOVE) & (now < FORGOTTEN_BELOW * best))
    return [
        {
            "kind": "forgotten",
            "classes": [classes[c]],
            "message": f"{classes[c]} was recognised {best[c]:.0%} of the time and is now at {now[c]:.0%}",
        }
        for c in lost.tolist()
    ]


def _swapped(epoch: Mapping[str, Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    confusion = np.asarray(epoch["confusion"], np.float64)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    enough = confusion.sum(axis=1) >= ENOUGH_IMAGES
    exchanged = (shares > SWAPPED_ABOVE) & (shares.T > SWAPPED_ABOVE) & enough & enough[:, None]
    both = np.argwhere(np.triu(exchanged, k=1))
    return [
        {
            "kind": "swapped",
            "classes": [classes[a], classes[b]],
            "message": f"{classes[a]} is called {classes[b]} and the reverse: are their labels exchanged?",
        }
        for a, b in both
    ]


def _over_fitting(epochs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if len(epochs) <= PATIENCE:
        return []
    recent = epochs[-PATIENCE - 1 :]
    training = np.diff([epoch["train_loss"] for epoch in recent])
    validation = np.diff([epoch["loss"] for epoch in recent])
    best = min(epoch["loss"] for epoch in epochs)
    if not ((training < 0).all() and (validation > 0).all() and epochs[-1]["loss"] > LARGER_BY * best):
        return []
    message = f"validation loss has risen for {PATIENCE} epochs while training loss fell"
    return [{"kind": "over-fitting", "classes": [], "message": message}]


def _recalls(epoch: Mapping[str, Any]) -> np.ndarray:
    confusion = np.asarray(epoch["confusion"], np.float64)
    return np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
