"""What both ways of seeing a network give: the calls of PyTorch's operations, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

INPUT = "input"
# These give the number that they are given: no operation to see
UNSEEN = {"alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", "_assert_tensor_metadata"}
# These take nothing but a shape, and give the same for every image
SHAPED = {"empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"}
_OPERATIONS = {
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "_native_batch_norm_legit_no_training": "batch_norm",
    "_softmax": "softmax",
    "_log_softmax": "log_softmax",
    "_unsafe_view": "reshape",
    "concat": "cat",
    "concatenate": "cat",
    "constant_pad_nd": "pad",
    "max_pool2d_with_indices": "max_pool2d",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "view": "reshape",
}


@dataclass(frozen=True)
class Ref:
    """The output of a call.

    Attributes:
        name: of the call.
        of: the call whose numbers that one only hands on, laid out otherwise in memory; "" where it makes its own.
    """

    name: str
    of: str = ""

    @property
    def source(self) -> str:
        """The call that made the numbers."""
        return self.of or self.name


@dataclass(frozen=True)
class Weight:
    """A parameter or buffer, by its name in the state dict."""

    name: str


@dataclass(frozen=True)
class Call:
    """One call of an operation.

    Attributes:
        name: the node's name; "" until it is named.
        module: path of the module inside which it is called.
        operation: as in `torch.nn.functional`.
        target: what computes it: a PyTorch operation without side effects, or a function with the same arguments.
        arguments: by name, with defaults; tensors as Ref or Weight, or as they are where they are constants.
        item: which of several outputs; None where there is only one.
        helper: a call whose output takes part in opening this one (the weights of attention), but not in running it.
        turn: how often the module had been called before.
    """

    name: str
    module: str
    operation: str
    target: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    item: int | None = None
    helper: Ref | None = None
    turn: int = 0

    @property
    def unseen(self) -> bool:
        """Whether it only hands on what it is given, and no node shows it."""
        return self.operation in UNSEEN

    @property
    def refs(self) -> list[Ref]:
        """The calls that it takes, in the order of its arguments."""
        return [item for value in self.arguments.values() for item in flat(value) if isinstance(item, Ref)]

    @property
    def weights(self) -> dict[str, str]:
        """Role -> name in the state dict, of all parameters and buffers that it takes."""
        found = {}
        for role, value in self.arguments.items():
            items = [item for item in flat(value) if isinstance(item, Weight)]
            for at, item in enumerate(items):
                found[role if len(items) == 1 else f"{role}.{at}"] = item.name
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that are no tensors, as plain values."""
        given = {role: _plain(value) for role, value in self.arguments.items() if not _holds_tensor(value)}
        return given if self.item is None else {**given, "item": self.item}

    def run(self, tensor: Callable[[Any], Any]) -> Tensor:
        """The output, with Ref and Weight replaced by `tensor`."""
        return self.compute({}, tensor)

    def compute(self, instead: Mapping[str, Any], tensor: Callable[[Any], Any]) -> Tensor:
        """The output with some of the arguments exchanged, by name."""
        given = {role: replaced(instead.get(role, value), tensor) for role, value in self.arguments.items()}
        output = _call_target(self.target, given)
        return output if self.item is None else output[self.item]


def _call_target(target: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Call an operation with all arguments by name. PyTorch calls the first of many `self`, which Python keeps."""
    if not isinstance(target, torch._ops.OpOverload):
        return target(**given)
    schema = target._schema.arguments
    positional = [given[item.name] for item in schema if not item.kwarg_only]
    return target(*positional, **{item.name: given[item.name] for item in schema if item.kwarg_only})


def by_schema(
    target: torch._ops.OpOverload, pure: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """All arguments of a call, defaults filled in, by the names that the operation without side effects has for them:
    dropout calls `input` what dropout_ calls `self`."""
    found = {}
    for at, (item, named) in enumerate(zip(target._schema.arguments, pure._schema.arguments, strict=False)):
        found[named.name] = args[at] if at < len(args) else kwargs.get(item.name, item.default_value)
    return found


def without_side_effects(target: torch._ops.OpOverload) -> torch._ops.OpOverload | None:
    """The operation that computes the same and overwrites nothing: add for add_; None where there is none."""
    name = target._schema.name.removeprefix("aten::")
    if not target._schema.is_mutable:
        return target
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    found = getattr(packet, target._overloadname, None) if packet is not None and name.endswith("_") else None
    return found if isinstance(found, torch._ops.OpOverload) and not found._schema.is_mutable else None


def operation_of(target: torch._ops.OpOverload, arguments: Mapping[str, Any], item: int | None) -> str:
    """What an operation is called in `torch.nn.functional`."""
    name = target._schema.name.split("::")[-1]
    if name == "hardtanh" and (arguments["min_val"], arguments["max_val"]) == (0, 6):
        return "relu6"
    if item is not None and name == "unbind":
        return "select"
    if item is not None and name in ("split", "split_with_sizes", "chunk", "tensor_split"):
        return "slice"
    return _OPERATIONS.get(name, name)


def is_unseen(target: torch._ops.OpOverload, arguments: Mapping[str, Any], dtype: torch.dtype | None) -> bool:
    """Whether a call only hands on what it is given."""
    name = target._schema.name.split("::")[-1]
    same = dtype is not None and arguments.get("dtype") in (None, dtype)
    return name in UNSEEN or (name in ("to", "_to_copy") and same)


def of_the_image(calls: Mapping[str, Call]) -> set[str]:
    """The calls that depend on the image. Of a tensor that came from outside of PyTorch that is not known: it may."""
    found = {INPUT}
    for name, call in calls.items():
        depends = call.operation not in SHAPED and any(ref.name in found for ref in call.refs)
        if call.operation == "outside" or depends:
            found.add(name)
    return found - {INPUT}


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; those that several names share under the first."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def replaced(value: Any, tensor: Callable[[Any], Any]) -> Any:
    """An argument with every Ref and Weight replaced by `tensor`."""
    if isinstance(value, Ref | Weight):
        return tensor(value)
    if isinstance(value, list | tuple):
        return [replaced(item, tensor) for item in value]
    return value


def flat(value: Any) -> Iterator[Any]:
    """What an argument holds, lists of lists item by item."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from flat(item)
    else:
        yield value


def _holds_tensor(value: Any) -> bool:
    return any(isinstance(item, Ref | Weight | Tensor) for item in flat(value))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float | str | bool | None) else str(value)
