"""Linear probes: how well a linear classifier reads the class from features."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse regularisation C among which cross-validation chooses."""
FOLDS = 3
STEPS = 300


@dataclass(frozen=True)
class Probe:
    """A fitted probe: whether it is right on each validation image bool `(m,)`, its accuracy on what it was fitted on,
    the C that was chosen, and whether every fit converged."""

    hits: np.ndarray
    train_accuracy: float
    strength: float
    converged: bool


def fit_probe(
    train: np.ndarray, train_labels: np.ndarray, measured: np.ndarray, labels: np.ndarray, seed: int = 0
) -> Probe:
    """Fit multinomial logistic regression on standardised features (Alain and Bengio 2016, Understanding intermediate
    layers using linear classifier probes); its L2 penalty is chosen by cross-validation on the training images alone.

    Args:
        train, measured: float `(n, f)` and `(m, f)`.
        train_labels, labels: int, of at least two classes.
        seed: of the folds.
    """
    centre, spread = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    scale = np.where(spread > 1e-12, spread, 1.0)
    fitted_on, measured_on = (((part - centre) / scale).astype(np.float32) for part in (train, measured))
    strength, converged = _choose(fitted_on, train_labels, seed)
    model, done = _fit(fitted_on, train_labels, strength)
    return Probe(
        model.predict(measured_on) == labels,
        float((model.predict(fitted_on) == train_labels).mean()),
        strength,
        converged and done,
    )


def reduced(train: np.ndarray, measured: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Features of at most so many dimensions: a Gaussian random projection, which keeps distances (Johnson and
    Lindenstrauss 1984), where there are more; and whether there were."""
    if train.shape[1] <= most:
        return train, measured, False
    from sklearn.random_projection import GaussianRandomProjection

    settings: dict[str, Any] = {"n_components": most}
    model = GaussianRandomProjection(**settings, random_state=seed).fit(train)
    return model.transform(train), model.transform(measured), True


def _choose(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, bool]:
    """The C with the best mean accuracy over the folds, the smallest of several; and whether all fits converged."""
    from sklearn.model_selection import KFold, StratifiedKFold

    fewest = np.unique(labels, return_counts=True)[1].min()
    kind = StratifiedKFold if fewest >= FOLDS else KFold
    folds = list(kind(FOLDS, shuffle=True, random_state=seed).split(features, labels))
    scores, converged = np.zeros(len(STRENGTHS)), True
    for at, strength in enumerate(STRENGTHS):
        for inner, outer in folds:
            if len(np.unique(labels[inner])) < 2:
                continue
            model, done = _fit(features[inner], labels[inner], strength)
            scores[at] += (model.predict(features[outer]) == labels[outer]).mean()
            converged &= done
    return STRENGTHS[int(scores.argmax())], converged


def _fit(features: np.ndarray, labels: np.ndarray, strength: float) -> tuple[Any, bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=STEPS, tol=1e-3)
    with warnings.catch_warnings():
        # a fit that is cut short is said in the notes instead
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels)
    return model, bool(model.n_iter_.max() < STEPS)
