"""Shared by the tests of the NumPy engine: gradients by small differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


def numerical_gradient(loss: Callable[[], float], values: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The gradient of a loss with respect to an array that it depends on, by central differences, place by place."""
    gradient = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        before = values[place]
        values[place] = before + step
        above = loss()
        values[place] = before - step
        gradient[place] = (above - loss()) / (2 * step)
        values[place] = before
    return gradient


@pytest.fixture(scope="session")
def compared():
    """Compare a layer's gradients with numerical ones; returns the largest relative error of input and parameters."""

    def compare(layer, x: np.ndarray, seed: int = 0) -> float:
        layer = layer.astype(np.float64)
        # any loss will do; a weighted sum has a gradient that differs at every place
        weights = np.random.default_rng(seed).normal(size=layer.forward(x).shape)

        def loss() -> float:
            return float((layer.forward(x) * weights).sum())

        loss()
        grad_x = layer.backward(weights)
        analytic = {name: grad.copy() for name, grad in layer.gradients().items()}
        errors = [relative(grad_x, numerical_gradient(loss, x))]
        errors += [
            relative(analytic[name], numerical_gradient(loss, value)) for name, value in layer.parameters().items()
        ]
        return max(errors)

    return compare


def relative(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, in units of the largest magnitude."""
    return float(np.abs(one - other).max() / max(np.abs(other).max(), 1e-12))
