"""How gradients become steps. The formulas, and the order of their operations, are PyTorch's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from opsin.scratch.layer import Layer


class Optimiser:
    """Changes a network's parameters in place, by its gradients.

    Attributes:
        lr: the learning rate; schedules change it.
    """

    def __init__(self, network: Layer, lr: float) -> None:
        if not lr >= 0:
            raise ValueError(f"lr was given as {lr}; expected a learning rate of at least 0")
        self.network, self.lr = network, lr
        self._parameters = network.parameters()
        self._steps = 0

    def step(self) -> None:
        """One step, by the gradients of the last backward pass."""
        self._steps += 1
        gradients = self.network.gradients()
        for name, parameter in self._parameters.items():
            self._change(name, parameter, gradients[name])

    def _change(self, name: str, parameter: np.ndarray, gradient: np.ndarray) -> None:
        raise NotImplementedError


class SGD(Optimiser):
    """Stochastic gradient descent with momentum: the velocity remembers earlier gradients.

        velocity = momentum * velocity + gradient + weight_decay * parameter        parameter -= lr * velocity

    Args:
        network: whose parameters are changed.
        lr: learning rate.
        momentum: share of the velocity that is kept; 0: plain descent.
        weight_decay: pulls every parameter towards 0.
    """

    def __init__(self, network: Layer, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(network, lr)
        self.momentum, self.weight_decay = momentum, weight_decay
        self._velocity: dict[str, np.ndarray] = {}

    def _change(self, name: str, parameter: np.ndarray, gradient: np.ndarray) -> None:
        gradient = gradient + self.weight_decay * parameter if self.weight_decay else gradient
        if self.momentum:
            before = self._velocity.get(name)
            gradient = gradient.copy() if before is None else self.momentum * before + gradient
            self._velocity[name] = gradient
        parameter -= self.lr * gradient


class Adam(Optimiser):
    """Adam (Kingma and Ba 2015): each parameter has a step size of its own, from running means of its gradient and of
    the gradient's square, both freed of their start at 0.

        m = beta1 * m + (1 - beta1) * gradient        v = beta2 * v + (1 - beta2) * gradient ** 2
        parameter -= lr * m / (1 - beta1 ** t) / (sqrt(v / (1 - beta2 ** t)) + eps)

    Args:
        network: whose parameters are changed.
        lr: learning rate.
        betas: shares of the running means that are kept.
        eps: keeps the division from exploding.
        weight_decay: added to the gradient, times the parameter.
    """

    def __init__(
        self,
        network: Layer,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(network, lr)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self._means: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def _change(self, name: str, parameter: np.ndarray, gradient: np.ndarray) -> None:
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        self._adapt(name, parameter, gradient)

    def _adapt(self, name: str, parameter: np.ndarray, gradient: np.ndarray) -> None:
        beta1, beta2 = self.betas
        mean, square = self._means.setdefault(name, (np.zeros_like(parameter), np.zeros_like(parameter)))
        mean += (1 - beta1) * (gradient - mean)
        square *= beta2
        square += (1 - beta2) * gradient * gradient
        root = np.sqrt(square) / np.sqrt(1 - beta2**self._steps).astype(parameter.dtype) + self.eps
        parameter -= self.lr / (1 - beta1**self._steps) * mean / root


class AdamW(Adam):
    """AdamW (Loshchilov and Hutter 2019): the pull towards 0 is taken out of the gradient, so that it is equally strong
    for every parameter: `parameter *= 1 - lr * weight_decay`, then Adam's step."""

    def __init__(
        self,
        network: Layer,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(network, lr, betas, eps, weight_decay)

    def _change(self, name: str, parameter: np.ndarray, gradient: np.ndarray) -> None:
        parameter *= 1 - self.lr * self.weight_decay
        self._adapt(name, parameter, gradient)


OPTIMISERS: Mapping[str, type[Optimiser]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
