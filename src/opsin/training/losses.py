"""Losses per image, with class weights. Their plain mean is what a step differentiates."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opsin.errors import OpsinError


class CrossEntropy(nn.Module):
    """`-sum_k w_k t_k log p_k` per image, for the softmax p of the scores and targets t.

    Integer targets are smoothed: `t_k = (1 - s) [k is the label] + s / classes` (Szegedy et al., "Rethinking the
    Inception architecture for computer vision", 2016). Targets that come as shares are taken as they are: mixing has
    smoothed them.
    """

    class_weights: Tensor | None

    def __init__(self, label_smoothing: float = 0.0, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits `(n, classes)` and targets, int64 `(n,)` or float `(n, classes)`, to losses `(n,)`."""
        smoothing = 0.0 if targets.is_floating_point() else self.label_smoothing
        return F.cross_entropy(logits, targets, self.class_weights, reduction="none", label_smoothing=smoothing)


class FocalLoss(nn.Module):
    """`-sum_k w_k t_k (1 - p_k)^gamma log p_k` per image: what is answered well already counts less.

    Lin, Goyal, Girshick, He, Dollar, "Focal loss for dense object detection" (2017), equation 5, with the softmax in
    place of the sigmoid and the class weights as its alpha; for soft targets the sum over the classes.
    """

    class_weights: Tensor | None

    def __init__(self, gamma: float = 2.0, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("class_weights", class_weights)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits `(n, classes)` and targets, int64 `(n,)` or float `(n, classes)`, to losses `(n,)`."""
        log_p = F.log_softmax(logits, dim=1)
        # Where p rounds to 1, 0^gamma has an infinite slope for gamma < 1: the gradient would be NaN.
        missing = -torch.expm1(log_p).clamp_max(-torch.finfo(log_p.dtype).tiny)
        losses = -(missing**self.gamma) * log_p
        if self.class_weights is not None:
            losses = losses * self.class_weights
        if targets.is_floating_point():
            return (losses * targets).sum(dim=1)
        return losses.gather(1, targets[:, None])[:, 0]


def build_loss(kind: str, *, label_smoothing: float, gamma: float, class_weights: Tensor | None) -> nn.Module:
    """A loss that takes logits `(n, classes)` and targets, int64 `(n,)` or float `(n, classes)`, to losses `(n,)`.

    Args:
        kind: `cross_entropy` or `focal`.
        label_smoothing: of `cross_entropy`, 0..1, for integer targets only.
        gamma: of `focal`, 0 or more; 0 is cross entropy.
        class_weights: float32 `(classes,)`, or None for equal ones.

    Raises:
        OpsinError: the kind is unknown.
    """
    if kind == "cross_entropy":
        return CrossEntropy(label_smoothing, class_weights)
    if kind == "focal":
        return FocalLoss(gamma, class_weights)
    raise OpsinError(f"loss {kind!r} is unknown; expected cross_entropy or focal")


def class_weights(counts: np.ndarray, kind: str) -> Tensor:
    """float32 `(classes,)` weights of the loss, from the number of training images per class.

    `balanced` gives every class the same weight as a whole: `n / (classes * count)` (King, Zeng, "Logistic regression
    in rare events data", 2001), as scikit-learn has it. Their mean over all images is 1, so that the plain mean over a
    batch keeps its scale. Classes without images are not counted and get 0: nothing is known of them, and the share
    that smoothing gives them teaches nothing.

    Raises:
        OpsinError: the kind is unknown, or there are no images at all.
    """
    counts = np.asarray(counts, np.float64)
    if kind == "none":
        return torch.ones(len(counts))
    if kind != "balanced":
        raise OpsinError(f"class_weights {kind!r} is unknown; expected none or balanced")
    if not counts.sum():
        raise OpsinError("balanced class weights need images; 0 training images were counted")
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return torch.from_numpy(weights.astype(np.float32))
