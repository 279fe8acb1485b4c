"""Losses per image, held against PyTorch, torchvision, scikit-learn and the written-out formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torchvision.ops import sigmoid_focal_loss

from opsin.errors import OpsinError
from opsin.training.losses import build_loss, class_weights

DRAW = torch.Generator().manual_seed(0)
LOGITS = torch.randn(16, 5, generator=DRAW) * 3
LABELS = torch.randint(0, 5, (16,), generator=DRAW)
SOFT = torch.rand(16, 5, generator=DRAW).softmax(dim=1)
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.0, 3.0])


def loss(kind: str = "cross_entropy", smoothing: float = 0.0, gamma: float = 2.0, weights: torch.Tensor | None = None):
    return build_loss(kind, label_smoothing=smoothing, gamma=gamma, class_weights=weights)


def slow(targets: torch.Tensor, gamma: float = 0.0, smoothing: float = 0.0, weights: torch.Tensor | None = None):
    """The formulas, one number at a time, in Python's floats."""
    found = []
    for scores, target in zip(LOGITS.tolist(), targets.tolist(), strict=True):
        total = sum(math.exp(score) for score in scores)
        value = 0.0
        for k, score in enumerate(scores):
            share = target[k] if targets.ndim == 2 else (1 - smoothing) * (k == target) + smoothing / len(scores)
            p = math.exp(score) / total
            value -= (1 if weights is None else float(weights[k])) * share * (1 - p) ** gamma * math.log(p)
        found.append(value)
    return torch.tensor(found)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(weights: torch.Tensor | None, smoothing: float) -> None:
    found = loss(smoothing=smoothing, weights=weights)(LOGITS, LABELS)
    assert found.shape == (16,)
    torch.testing.assert_close(found, slow(LABELS, smoothing=smoothing, weights=weights))
    torch.testing.assert_close(
        found, F.cross_entropy(LOGITS, LABELS, weights, reduction="none", label_smoothing=smoothing)
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal(weights: torch.Tensor | None, gamma: float) -> None:
    focal = loss("focal", gamma=gamma, weights=weights)
    torch.testing.assert_close(focal(LOGITS, LABELS), slow(LABELS, gamma, 0, weights))
    torch.testing.assert_close(focal(LOGITS, SOFT), slow(SOFT, gamma, 0, weights))


def test_focal_is_torchvisions_for_two_classes() -> None:
    """The softmax of (0, x) is the sigmoid of x."""
    scores = LOGITS[:, 0]
    labels = (LABELS > 2).long()
    theirs = sigmoid_focal_loss(scores, labels.float(), alpha=0.3, gamma=2.0)
    pair = torch.stack([torch.zeros_like(scores), scores], dim=1)
    torch.testing.assert_close(loss("focal", weights=torch.tensor([0.7, 0.3]))(pair, labels), theirs)


def test_focal_with_gamma_0_is_cross_entropy() -> None:
    for targets in (LABELS, SOFT):
        torch.testing.assert_close(loss("focal", gamma=0.0)(LOGITS, targets), loss()(LOGITS, targets))


def test_soft_targets_are_not_smoothed_twice() -> None:
    smoothed = F.one_hot(LABELS, 5) * 0.9 + 0.1 / 5
    torch.testing.assert_close(loss(smoothing=0.1)(LOGITS, smoothed), loss(smoothing=0.1)(LOGITS, LABELS))
    torch.testing.assert_close(loss(smoothing=0.1)(LOGITS, SOFT), slow(SOFT))


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_gradients_of_certain_answers_are_finite(gamma: float) -> None:
    logits = torch.tensor([[60.0, 0.0], [0.0, 60.0], [500.0, -500.0], [0.0, 0.0]], requires_grad=True)
    losses = loss("focal", gamma=gamma)(logits, torch.tensor([0, 0, 1, 0]))
    losses.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(losses).all()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1].abs().sum() > 0


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradients_are_the_slopes(gamma: float) -> None:
    logits = LOGITS[:4].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss("focal", gamma=gamma)(x, LABELS[:4]), logits)


def test_the_weights_move_with_the_loss_and_stay_out_of_training() -> None:
    module = loss(weights=WEIGHTS)
    assert list(module.parameters()) == []
    assert module.double().class_weights.dtype == torch.float64


def test_balanced_weights_are_scikit_learns() -> None:
    labels = np.repeat([0, 1, 2], [50, 7, 3])
    weights = class_weights(np.bincount(labels), "balanced")
    assert weights.dtype == torch.float32
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-6)
    assert float(weights[labels].mean()) == pytest.approx(1)


def test_classes_without_images_are_not_counted() -> None:
    weights = class_weights(np.array([30, 0, 10]), "balanced")
    np.testing.assert_allclose(weights, [40 / (2 * 30), 0, 40 / (2 * 10)], rtol=1e-6)
    found = loss(smoothing=0.1, weights=weights)(torch.zeros(2, 3), torch.tensor([0, 2]))
    assert torch.isfinite(found).all()


def test_equal_weights_and_what_is_refused() -> None:
    assert torch.equal(class_weights(np.array([3, 0]), "none"), torch.ones(2))
    with pytest.raises(OpsinError, match="0 training images were counted"):
        class_weights(np.zeros(3), "balanced")
    with pytest.raises(OpsinError, match="'sqrt' is unknown; expected none or balanced"):
        class_weights(np.ones(3), "sqrt")
    with pytest.raises(OpsinError, match="'hinge' is unknown; expected cross_entropy or focal"):
        loss("hinge")
