"""Softmax and cross entropy."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """`(n, classes)` to probabilities: `exp(logit) / sum of exp(logits)`. The largest logit is taken away first, which
    changes nothing but keeps exp from overflowing."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """The logarithm of `softmax`, without taking the logarithm of what may have become 0."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class CrossEntropyLoss:
    """How surprised the network is by the truth: the mean of `-sum over k of target[k] * log softmax(logits)[k]`.

    The gradient is as simple as can be: `(softmax(logits) - target) / n`.

    Args:
        label_smoothing: share of the target that is spread evenly over all classes, 0..1 (Szegedy et al. 2016).

    Raises:
        ValueError: the share is outside 0..1.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing was given as {label_smoothing}; expected a share of 0 to 1")
        self.label_smoothing = label_smoothing

    def forward(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The loss.

        Args:
            logits: float `(n, classes)`.
            labels: whole numbers `(n,)`, positions of the true classes.

        Raises:
            ValueError: the shapes do not fit, or a label is no class.
        """
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"logits {logits.shape} and labels {labels.shape} were given; expected (n, classes) and (n,)"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
            raise ValueError(f"labels {labels.min()}..{labels.max()} were given for {logits.shape[1]} classes")
        classes = logits.shape[1]
        target = np.full(logits.shape, self.label_smoothing / classes, logits.dtype)
        target[np.arange(len(labels)), labels] += 1 - self.label_smoothing
        self._target, self._logits = target, logits
        return float(-(target * log_softmax(logits)).sum() / len(labels))

    def backward(self) -> np.ndarray:
        """The gradient of the last loss with respect to the logits, `(n, classes)`."""
        return (softmax(self._logits) - self._target) / len(self._logits)
