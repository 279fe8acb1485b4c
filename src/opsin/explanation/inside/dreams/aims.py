"""What a dream excites: scores of classes, channels of a layer, or single units."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError, some
from opsin.explanation.grids import Grid, find_grid, prefix_tokens
from opsin.explanation.inside.parts import require_layers
from opsin.explanation.layers import choose_layer
from opsin.explanation.split import first_tensor, run_module
from opsin.explanation.targets import class_index
from opsin.models.classifier import Classifier
from opsin.models.weights import bare

Unit = tuple[int, ...]


@dataclass(frozen=True)
class Aims:
    """t things that can be excited, all of one layer, or all classes.

    Attributes:
        labels: what each is called.
        layer: the layer's name, or "" for classes.
        units: per aim (class,), (class, class that speaks against it), (channel,) or (channel, row, column).
        grid: how the layer's output lies on the picture; None for classes and for layers without places.
        runs: how many times the layer runs in one pass.
    """

    labels: tuple[str, ...]
    layer: str
    units: tuple[Unit, ...]
    grid: Grid | None = None
    runs: int = 1

    def some(self, chosen: slice) -> Aims:
        """Some of the aims."""
        return Aims(self.labels[chosen], self.layer, self.units[chosen], self.grid, self.runs)

    def measure(self, model: Classifier, inputs: Tensor) -> Tensor:
        """`(n, t)`: how much each image excites each aim: logits, means of a channel over its places, or values of
        units. Part of the graph of `inputs`."""
        output = self._output(model, inputs)
        columns = [_read(output, unit, not self.layer) for unit in self.units]
        return torch.stack(columns, dim=1).float()

    def _output(self, model: Classifier, inputs: Tensor) -> Tensor:
        module = bare(model.module)
        if not self.layer:
            return model.read_output(run_module(model, module, inputs), len(inputs))
        found = _layer_output(model, module, inputs, self.layer, self.runs)
        return found if self.grid is None else self.grid.maps(found)


def class_aims(model: Classifier, target: Any, width: int) -> Aims:
    """Aims of a class, a list of classes, "all", or a pair (the first rather than the second).

    Raises:
        OpsinError: there is no such class, or none was given.
    """
    names = model.classes or tuple(map(str, range(width)))
    if isinstance(target, str) and target == "all" and target not in names:
        target = list(range(width))
    if isinstance(target, tuple) and len(target) == 2:
        first, second = (class_index(item, names, width) for item in target)
        if first == second:
            raise OpsinError(f"the pair {target!r} holds one class twice; give two classes that differ")
        return Aims((f"{names[first]} rather than {names[second]}",), "", ((first, second),))
    several = [target] if not _many(target) else list(target)
    if not several:
        raise OpsinError("the list of classes is empty; give one or more names or indices")
    chosen = [class_index(item, names, width) for item in several]
    return Aims(tuple(names[index] for index in chosen), "", tuple((index,) for index in chosen))


def layer_aims(model: Classifier, inputs: Tensor, layer: str | None, channel: Any, unit: Any) -> Aims:
    """Aims of channels (an int, or several) or units ((channel, row, column), or several) of a layer.

    Raises:
        OpsinError: there is no such layer, channel or place, or the layer's output has no channels.
    """
    module = bare(model.module)
    name = choose_layer(model, inputs).name if layer is None else require_layers(module, layer)[0]
    with torch.no_grad():
        output, runs = _count_runs(model, module, inputs, name)
    size = (inputs.shape[-2], inputs.shape[-1])
    grid = None
    if output.ndim != 2:
        grid = find_grid(output, size, prefix_tokens(module))
        if grid is None and output.ndim == 4:
            grid = Grid("maps", *output.shape[2:])
    if output.ndim != 2 and grid is None:
        raise OpsinError(
            f"the output of {name} has shape {tuple(output.shape)}; expected maps, tokens with places or a vector per "
            "image: choose another layer"
        )
    bounds = tuple((output if grid is None else grid.maps(output)).shape[1:])
    units = _channels(name, channel, bounds) if unit is None else _units(name, unit, bounds)
    return Aims(tuple(_label(name, one) for one in units), name, units, grid, runs)


def _channels(layer: str, channel: Any, bounds: tuple[int, ...]) -> tuple[Unit, ...]:
    several = list(channel) if _many(channel) else [channel]
    if not several:
        raise OpsinError(f"the list of channels of {layer} is empty; give one or more numbers")
    return tuple(_checked(layer, (one,), bounds[:1]) for one in several)


def _units(layer: str, unit: Any, bounds: tuple[int, ...]) -> tuple[Unit, ...]:
    several = list(unit) if _many(unit) and len(unit) and _many(unit[0]) else [unit]
    return tuple(_checked(layer, tuple(one) if _many(one) else (one,), bounds) for one in several)


def _checked(layer: str, unit: tuple[Any, ...], bounds: tuple[int, ...]) -> Unit:
    whole = all(isinstance(item, int) or (hasattr(item, "__index__") and not isinstance(item, bool)) for item in unit)
    numbers = tuple(int(item) for item in unit) if whole else ()
    if len(numbers) != len(bounds) or not all(0 <= item < end for item, end in zip(numbers, bounds, strict=True)):
        shown = unit[0] if len(unit) == 1 else unit
        axes = ("channel", "row", "column") if len(bounds) > 1 else ("channel",)
        expected = ", ".join(f"{axis} 0 to {end - 1}" for axis, end in zip(axes, bounds, strict=True))
        raise OpsinError(f"{shown!r} was given as what to excite in {layer}; expected {expected}")
    return numbers


def _label(layer: str, unit: Unit) -> str:
    return f"{layer} channel {unit[0]}" + (f" at ({unit[1]}, {unit[2]})" if len(unit) == 3 else "")


def _many(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


def _read(output: Tensor, unit: Unit, scores: bool) -> Tensor:
    """`(n,)` of logits `(n, classes)`, of a vector `(n, f)` or of maps `(n, c, h, w)`."""
    if scores and len(unit) == 2:
        return output[:, unit[0]] - output[:, unit[1]]
    values = output[:, unit[0]]
    if len(unit) == 3:
        return values[:, unit[1], unit[2]]
    return values if values.ndim == 1 else values.flatten(1).mean(dim=1)


class _ReachedError(Exception):
    """The layer has run: what follows in the network is not needed."""


def _layer_output(model: Classifier, module: nn.Module, inputs: Tensor, layer: str, runs: int) -> Tensor:
    """The layer's output at its last run, where the pass ends."""
    outputs: list[Tensor] = []

    def keep(output: Tensor) -> None:
        outputs.append(output)
        if len(outputs) == runs:
            raise _ReachedError

    with _reading(module, layer, keep), contextlib.suppress(_ReachedError):
        run_module(model, module, inputs)
    if len(outputs) < runs:
        raise OpsinError(f"layer {layer} did not run for this input; choose a layer that forward uses")
    return outputs[-1]


def _count_runs(model: Classifier, module: nn.Module, inputs: Tensor, layer: str) -> tuple[Tensor, int]:
    outputs: list[Tensor] = []
    with _reading(module, layer, outputs.append):
        run_module(model, module, inputs)
    if not outputs:
        raise OpsinError(f"layer {layer} did not run for this input; choose a layer that forward uses")
    return outputs[-1], len(outputs)


@contextlib.contextmanager
def _reading(module: nn.Module, layer: str, keep: Any) -> Iterator[None]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        found = first_tensor(output)
        if found is None:
            raise OpsinError(f"layer {layer} gives a {type(output).__name__}, no tensor; choose a layer inside it")
        keep(found)

    handle = module.get_submodule(layer).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def listed(labels: Sequence[str]) -> str:
    """Labels for a message."""
    return some(list(labels), 3)
