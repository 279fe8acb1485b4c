"""Looking inside a module during one forward pass: layer outputs, and what its ReLU-like functions let through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from opsin.errors import OpsinError
from opsin.models.classifier import evaluating

MOST_LAYERS = 12

# Functions that can switch a channel off (lower bound 0) or hold it at an upper bound, however they are called:
# modules such as nn.ReLU6 end here too. `None` means that there is no such bound.
LOWER_BOUND: dict[Any, float] = {
    F.relu: 0.0, torch.relu: 0.0, torch.relu_: 0.0, F.relu_: 0.0, torch.Tensor.relu: 0.0, torch.Tensor.relu_: 0.0,
    F.relu6: 0.0, F.hardtanh: 0.0, F.hardtanh_: 0.0, F.hardsigmoid: 0.0,
}  # fmt: skip
UPPER_BOUND: dict[Any, float] = {
    F.relu6: 6.0, F.hardsigmoid: 1.0, F.sigmoid: 1.0, torch.sigmoid: 1.0, torch.Tensor.sigmoid: 1.0,
    F.tanh: 1.0, torch.tanh: 1.0, torch.Tensor.tanh: 1.0,
}  # fmt: skip
NEAR_BOUND = 1e-3


@contextlib.contextmanager
def outputs_of(module: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Collect the outputs of named layers during a forward pass, as part of the graph.

    The following layers get a copy, so that an in-place operation behind a layer does not change what was recorded.
    No hook is left behind, also after an exception. A module that runs twice keeps its last output.
    """
    named = dict(module.named_modules())
    collected: dict[str, torch.Tensor] = {}
    handles = []

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            if not isinstance(output, torch.Tensor):
                return None
            collected[name] = output
            return output.clone()

        return hook

    try:
        handles = [named[name].register_forward_hook(keep(name)) for name in layers]
        yield collected
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class Bounds(TorchFunctionMode):
    """Which channels of ReLU-like functions are above zero, and which sit at the upper bound, for a whole batch.

    A function call belongs to the last layer with weights that ran before it, so a functional `F.relu(self.conv1(x))`
    counts for `conv1` exactly as a module does.
    """

    module: nn.Module
    alive: dict[str, torch.Tensor] = field(default_factory=dict)
    saturated: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._last = ""
        self._handles: list[Any] = []

    def __enter__(self) -> Bounds:
        for name, part in self.module.named_modules():
            if next(part.parameters(recurse=False), None) is not None:
                self._handles.append(part.register_forward_hook(self._remember(name)))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        for handle in self._handles:
            handle.remove()
        super().__exit__(*error)

    def _remember(self, name: str) -> Any:
        def hook(*_: Any) -> None:
            self._last = name

        return hook

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func in LOWER_BOUND or func in UPPER_BOUND:
            self._note(func, output, args, kwargs)
        return output

    def _note(self, func: Any, output: torch.Tensor, args: Any, kwargs: Any) -> None:
        if not self._last or output.ndim < 2:
            return
        values = output.detach()
        flat = values.transpose(0, 1).flatten(1) if values.ndim != 3 else values.flatten(0, 1).T
        low, high = LOWER_BOUND.get(func), UPPER_BOUND.get(func)
        if func in (F.hardtanh, F.hardtanh_):
            low = kwargs.get("min_val", args[1] if len(args) > 1 else -1.0)
            high = kwargs.get("max_val", args[2] if len(args) > 2 else 1.0)
        if low == 0:
            key = self._key(self.alive)
            self.alive[key] = (flat > 0).any(dim=1)
        if high is not None:
            lowest = -high if func in (F.tanh, torch.tanh, torch.Tensor.tanh) else None
            at_bound = flat >= high - NEAR_BOUND
            if lowest is not None:
                at_bound |= flat <= lowest + NEAR_BOUND
            self.saturated[self._key(self.saturated)] = at_bound.all(dim=1)

    def _key(self, known: dict[str, torch.Tensor]) -> str:
        name, count = self._last, 2
        while name in known:
            name, count = f"{self._last}#{count}", count + 1
        return name


@dataclass(frozen=True)
class LayerInfo:
    """A layer that can be looked at: its path in `named_modules()`, its class and its output's shape per image."""

    name: str
    kind: str
    shape: tuple[int, ...]


def visible_layers(module: nn.Module, inputs: torch.Tensor) -> list[LayerInfo]:
    """Every leaf module whose output is a picture `(c, h, w)` or a vector, in the order in which they run."""
    seen: dict[str, LayerInfo] = {}
    handles = []
    hidden = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten)

    def note(name: str, part: nn.Module) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim in (2, 4) and len(output) == len(inputs):
                seen[name] = LayerInfo(name, type(part).__name__, tuple(output.shape[1:]))

        return hook

    try:
        for name, part in module.named_modules():
            if name and next(part.children(), None) is None and not isinstance(part, hidden):
                handles.append(part.register_forward_hook(note(name, part)))
        with evaluating(module), torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return list(seen.values())


def choose_layers(visible: Sequence[LayerInfo], wanted: Sequence[str] | None) -> list[LayerInfo]:
    """The layers to record: those asked for, or all of a small network, or an even selection of a large one that
    keeps the first picture, the last picture and the last vector.

    Raises:
        OpsinError: a wanted layer does not exist or has no output that can be shown.
    """
    by_name = {layer.name: layer for layer in visible}
    if wanted is not None:
        missing = [name for name in wanted if name not in by_name]
        if missing:
            some = ", ".join(list(by_name)[:8])
            raise OpsinError(f"layer {missing[0]!r} cannot be recorded; layers with visible outputs are {some} ...")
        return [by_name[name] for name in wanted]
    if len(visible) <= MOST_LAYERS:
        return list(visible)
    pictures = [layer for layer in visible if len(layer.shape) == 3]
    convolutions = [layer for layer in pictures if "Conv" in layer.kind] or pictures
    vectors = [layer for layer in visible if len(layer.shape) == 1]
    room = MOST_LAYERS - 2
    even = (
        [convolutions[round(i * (len(convolutions) - 1) / max(room - 1, 1))] for i in range(room)]
        if convolutions
        else []
    )
    chosen = {layer.name: layer for layer in (*even, *pictures[-1:], *vectors[-1:])}
    order = {layer.name: position for position, layer in enumerate(visible)}
    return sorted(chosen.values(), key=lambda layer: order[layer.name])
