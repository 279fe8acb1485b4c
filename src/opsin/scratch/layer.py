"""What every layer has: numbers that are learnt, their gradients, and two modes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np


class Layer:
    """A function with a forward and a backward pass.

    `forward(x)` gives the output and remembers what the way back needs. `backward(grad_output)` takes the gradient of a
    loss with respect to the last output, stores the gradients of what the layer has learnt in `grads`, and returns the
    gradient with respect to the input, so that layers can be chained (the chain rule).

    Attributes:
        training: whether the layer behaves as in training (dropout, batch statistics).
        grads: gradients by the names of `learnt`, of the last backward pass.
        learnt: names of the attributes that training changes.
        kept: names of the attributes that belong to the state without being learnt, such as running statistics.
    """

    learnt: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.training = True
        self.grads: dict[str, np.ndarray] = {}

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The output for an input."""
        raise NotImplementedError

    def backward(self, grad_output: np.ndarray) -> np.ndarray:
        """The gradient with respect to the input, from the one with respect to the output."""
        raise NotImplementedError

    def children(self) -> Mapping[str, Layer]:
        """The layers that this one is made of, by name."""
        return {}

    def layers(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """This layer and all below it with their paths, such as `body.0`."""
        yield prefix, self
        for name, child in self.children().items():
            yield from child.layers(f"{prefix}.{name}" if prefix else name)

    def train(self, mode: bool = True) -> Self:
        """Training mode here and below; `train(False)` is the evaluation mode."""
        for _, layer in self.layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode here and below."""
        return self.train(False)

    def parameters(self) -> dict[str, np.ndarray]:
        """Everything that training changes, by path: the arrays themselves, which an optimiser changes in place."""
        return {
            _path(path, name): getattr(layer, name) for path, layer in self.layers() for name in layer.own("learnt")
        }

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients of the last backward pass, by the paths of `parameters`."""
        return {_path(path, name): grad for path, part in self.layers() for name, grad in part.grads.items()}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of everything that makes this network what it is, under PyTorch's names."""
        return {path: np.array(value) for path, value in self._state().items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_dict` of an equal network gave, or PyTorch's with NumPy arrays for tensors.

        Raises:
            ValueError: a name or a shape differs.
        """
        own = self._state()
        # PyTorch counts the batches that its statistics have seen, which nothing here needs
        given = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        if given.keys() != own.keys():
            missing, more = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
            raise ValueError(f"the weights lack {missing} and have {more} too many; expected those of an equal network")
        for name, value in given.items():
            if np.shape(value) != own[name].shape:
                raise ValueError(f"{name} has shape {np.shape(value)}, expected {own[name].shape}")
        for name, value in given.items():
            own[name][...] = value

    def astype(self, dtype: np.typing.DTypeLike) -> Self:
        """A copy that computes in another precision: float64 for comparing gradients, float32 for training."""
        other = copy.deepcopy(self)
        for _, layer in other.layers():
            for name in (*layer.own("learnt"), *layer.kept):
                setattr(layer, name, getattr(layer, name).astype(dtype))
        return other

    def own(self, kind: str) -> list[str]:
        """The names of `learnt` or `kept` that this layer really has: a bias may be left out."""
        return [name for name in getattr(self, kind) if getattr(self, name) is not None]

    def _state(self) -> dict[str, np.ndarray]:
        return {
            _path(path, name): getattr(layer, name)
            for path, layer in self.layers()
            for name in (*layer.own("learnt"), *layer.own("kept"))
        }


def _path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
