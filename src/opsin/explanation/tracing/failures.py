"""Why a network fails at an operation, in the shapes of its layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from opsin.errors import first_line
from opsin.explanation.tracing.calls import Call, Ref, Weight
from opsin.records import Failure, Node


@dataclass(frozen=True)
class _Broken:
    """A call that failed, with what it was given."""

    call: Call
    values: Mapping[str, Tensor]
    state: Mapping[str, Tensor]

    def shape(self, role: str) -> tuple[int, ...]:
        """Of a tensor among the arguments, without the axis of the image; () where there is none."""
        item = self.call.arguments.get(role)
        if isinstance(item, Ref):
            return tuple(self.values[item.name].shape[0 if role == "weight" else 1 :])
        if isinstance(item, Weight):
            return tuple(self.state[item.name].shape)
        return tuple(item.shape) if isinstance(item, Tensor) else ()

    def name(self, role: str) -> str:
        """What gives an argument."""
        item = self.call.arguments.get(role)
        if isinstance(item, Ref):
            return item.source
        return item.name if isinstance(item, Weight) else role

    @property
    def place(self) -> str:
        """What failed: the layer where it is one, otherwise the operation."""
        return self.call.name


def explain_failure(call: Call, error: BaseException, values: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """One line that says what the operation was given and what it expects.

    Args:
        call: the operation that failed.
        error: what PyTorch says.
        values: outputs `(1, ...)` of the calls before.
        state: parameters and buffers by name.
    """
    broken = _Broken(call, values, state)
    explain = EXPLANATIONS.get(call.operation)
    found = None
    if explain is not None:
        try:
            found = explain(broken)
        except (IndexError, KeyError, TypeError, ZeroDivisionError):
            found = None  # an explanation that does not fit the call: PyTorch's own words are right anyway
    return found or _in_pytorchs_words(broken, error)


def explain_answer(nodes: Sequence[Node], values: Mapping[str, Tensor]) -> Failure:
    """Why a network that ran to its end has no answer for its image: no tensor, or one with several rows.

    Args:
        nodes: of its graph, in order.
        values: by the names of the nodes.
    """
    for node in nodes:
        sources = [values[name] for name in node.inputs]
        if node.operation == "reshape" and len(values[node.name]) != 1 and all(len(item) == 1 for item in sources):
            rows, *row = values[node.name].shape
            given, numbers = spelled(tuple(sources[0].shape[1:])), sources[0].numel()
            message = (
                f"{node.inputs[0]} gives {given}, that is {numbers} numbers of one image, {node.name} makes {rows} "
                f"rows of {spelled(tuple(row))} of them, as if they were {rows} images: make it {numbers}"
            )
            return Failure(node.name, node.module, node.operation, message, node.inputs)
    last = nodes[-1].name
    return Failure("output", "", "forward", f"the network answers with no row of scores; {last} ran last", (last,))


def spelled(shape: tuple[int, ...]) -> str:
    """`64 x 5 x 5`, or the one number."""
    return " x ".join(map(str, shape)) if shape else "one number"


def _in_pytorchs_words(broken: _Broken, error: BaseException) -> str:
    given = [f"{ref.name} gives {spelled(tuple(broken.values[ref.name].shape[1:]))}" for ref in broken.call.refs]
    reason = first_line(error) if broken.call.refs else f"{type(error).__name__}: {first_line(error)}"
    where = broken.call.module or broken.place if broken.call.operation == "forward" else broken.place
    return "; ".join([*dict.fromkeys(given), f"{where} fails: {reason}"])


def _linear(broken: _Broken) -> str | None:
    given, weight = broken.shape("input"), broken.shape("weight")
    if not given or len(weight) != 2 or given[-1] == weight[1]:
        return None
    said = f"{broken.name('input')} gives {spelled(given)}, {broken.place} expects {weight[1]}"
    if len(given) > 1 and math.prod(given) == weight[1]:
        return f"{said}: flatten it before {broken.place}"
    numbers = math.prod(given)
    if len(given) > 1:
        return f"{said} numbers in the last axis: flatten it and give {broken.place} in_features={numbers}"
    return f"{said}: give {broken.place} in_features={numbers}"


def _convolution(broken: _Broken) -> str | None:
    given, weight = broken.shape("input"), broken.shape("weight")
    source, groups = broken.name("input"), int(broken.call.arguments.get("groups", 1))
    said = f"{source} gives {spelled(given)}"
    if len(given) + 1 != len(weight):
        return f"{said}, {broken.place} expects channels and {len(weight) - 2} axes of places"
    channels = weight[1] * groups
    if given[0] != channels:
        return f"{said}, that is {given[0]} channels, {broken.place} expects {channels}"
    padding, dilation = broken.call.arguments.get("padding", 0), broken.call.arguments.get("dilation", 1)
    if isinstance(padding, str):
        return None
    for at, side in enumerate(given[1:]):
        reach = _each(dilation, at) * (weight[2 + at] - 1) + 1
        if side + 2 * _each(padding, at) < reach:
            return f"{said}, too small for {broken.place}, whose kernel reaches over {reach} pixels"
    return None


def _pool(broken: _Broken) -> str | None:
    given, kernel = broken.shape("self"), broken.call.arguments.get("kernel_size")
    sides = given[1:]
    if kernel is None or not sides:
        return None
    reach = [_each(kernel, at) for at in range(len(sides))]
    padding = broken.call.arguments.get("padding", 0)
    if any(side + 2 * _each(padding, at) < reach[at] for at, side in enumerate(sides)):
        window = spelled(tuple(reach))
        return f"{broken.name('self')} gives {spelled(given)}, too small for the {window} pixels of {broken.place}"
    return None


def _normalisation(broken: _Broken) -> str | None:
    given = broken.shape("input")
    expected = next((broken.shape(role) for role in ("weight", "running_mean") if broken.shape(role)), ())
    if not given or not expected:
        return None
    said = f"{broken.name('input')} gives {spelled(given)}"
    if broken.call.operation == "batch_norm":
        return f"{said}, that is {given[0]} channels, {broken.place} expects {expected[0]}"
    return f"{said}, {broken.place} expects {spelled(expected)} in the last axes"


def _reshape(broken: _Broken) -> str | None:
    given = broken.shape("self")
    wanted = broken.call.arguments.get("shape", broken.call.arguments.get("size"))
    numbers = math.prod(given)
    if not isinstance(wanted, list | tuple):
        return None
    fixed = math.prod(int(side) for side in wanted if int(side) >= 0)
    if fixed and numbers % fixed == 0:
        return None
    return (
        f"{broken.name('self')} gives {spelled(given)}, that is {numbers} numbers, {broken.place} expects "
        f"{'a multiple of ' if -1 in wanted else ''}{fixed}: make it {numbers}"
    )


def _pair(first: str, second: str) -> Callable[[_Broken], str | None]:
    def explain(broken: _Broken) -> str | None:
        shapes = broken.shape(first), broken.shape(second)
        if not all(shapes):
            return None
        given = f"{broken.name(first)} gives {spelled(shapes[0])} and {broken.name(second)} {spelled(shapes[1])}"
        if broken.call.operation in ("matmul", "bmm", "mm"):
            return f"{given}, {broken.place} expects as many columns of the first as rows of the second"
        return f"{given}, {broken.place} expects equal shapes"

    return explain


def _cat(broken: _Broken) -> str | None:
    items = [item for item in broken.call.arguments.get("tensors", ()) if isinstance(item, Ref)]
    given = [f"{item.name} gives {spelled(tuple(broken.values[item.name].shape[1:]))}" for item in items]
    axis = broken.call.arguments.get("dim", 0)
    return f"{', '.join(given)}; {broken.place} expects shapes that differ in axis {axis} only (the image is axis 0)"


def _each(value: Any, axis: int) -> int:
    """A setting of one axis, where it is one number for all or one per axis."""
    if isinstance(value, list | tuple):
        return int(value[axis if len(value) > 1 else 0])
    return int(value)


EXPLANATIONS: Mapping[str, Callable[[_Broken], str | None]] = {
    "linear": _linear,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "conv3d": _convolution,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "batch_norm": _normalisation,
    "layer_norm": _normalisation,
    "reshape": _reshape,
    "add": _pair("self", "other"),
    "sub": _pair("self", "other"),
    "mul": _pair("self", "other"),
    "matmul": _pair("self", "other"),
    "bmm": _pair("self", "mat2"),
    "mm": _pair("self", "mat2"),
    "cat": _cat,
}
