"""A network's calls as `torch.export` sees them: for every image of one size."""

from __future__ import annotations

import contextlib
import io
import logging
import operator
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind

from opsin.errors import OpsinError
from opsin.explanation.tracing.calls import (
    INPUT,
    Call,
    Ref,
    Weight,
    by_schema,
    is_unseen,
    operation_of,
    without_side_effects,
)  # fmt: skip


class CannotExport(OpsinError):
    """A graph that `torch.export` gave, or could not give, and why it cannot be followed."""


def exported_calls(module: nn.Module, inputs: Tensor) -> tuple[list[Call], Ref]:
    """The calls in their order, named as torch.export names them, and which of them is the answer.

    Args:
        module: in evaluation mode.
        inputs: `(1, c, h, w)`.

    Raises:
        CannotExport: the network holds what torch.export cannot follow.
    """
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(module, (inputs,))
            reader = _Reader(program)
            if not reader.read():
                # a part of a tensor is overwritten through a view of it: PyTorch rewrites that without side effects
                reader = _Reader(program.run_decompositions({}))
                reader.read()
    except CannotExport:
        raise
    except Exception as error:  # torch.export lets through whatever a network or its own compiler raises
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise CannotExport(lines[0] if lines else type(error).__name__) from error
    if reader.answer is None:
        raise CannotExport("the network does not answer with one tensor")
    return reader.calls, reader.answer


class _Reader:
    """Reads an exported program into calls without side effects."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.calls: list[Call] = []
        self.answer: Ref | None = None
        self._values: dict[fx.Node, Any] = {}  # what stands for a node at this point of the program
        self._parts: dict[fx.Node, tuple[Any, dict[str, Any]]] = {}  # calls with several outputs
        self._views: set[fx.Node] = set()  # nodes that share memory with an earlier one

    def read(self) -> bool:
        """Whether it could be read; False where a part of a tensor is overwritten."""
        self._read_inputs()
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                if not self._read_call(node):
                    return False
            elif node.op == "output":
                answers = [self._values.get(item) for item in node.all_input_nodes]
                self.answer = answers[0] if answers and isinstance(answers[0], Ref) else None
            elif node.op != "placeholder":
                raise CannotExport(f"it holds a part of its own program ({node.name})")
        return True

    def _read_inputs(self) -> None:
        holders = [node for node in self.program.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(holders, self.program.graph_signature.input_specs, strict=True):
            if spec.kind == InputKind.USER_INPUT:
                self._values[node] = Ref(INPUT)
            elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
                self._values[node] = Weight(str(spec.target))
            elif spec.kind == InputKind.CONSTANT_TENSOR:
                self._values[node] = self.program.constants[str(spec.target)]
            else:
                raise CannotExport(f"it takes {spec.kind.name.lower()}, which is no tensor")

    def _read_call(self, node: fx.Node) -> bool:
        if node.target is operator.getitem:
            self._read_item(node)
            return True
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):
            raise CannotExport(f"it calls {getattr(target, '__name__', target)}, a part of its own program")
        pure = without_side_effects(target)
        if pure is None or (target is not pure and self._shared(node)):
            return False
        given = by_schema(target, pure, node.args, node.kwargs)
        arguments = {role: self._value(value) for role, value in given.items()}
        found = node.meta.get("val")
        if isinstance(found, Tensor):
            first = node.all_input_nodes[0] if node.all_input_nodes else None
            same = first.meta.get("val") if first is not None else None
            if first is not None and is_unseen(pure, arguments, None if same is None else same.dtype):
                self._add(node, pure, arguments, None, operation="alias")
                self._values[node] = self._handed_on(first, node)
            else:
                self._add(node, pure, arguments, None)
            if target is not pure and first is not None:
                self._values[first] = self._values[node]  # from here on the overwritten tensor is this one
            if first is not None and _is_view(pure):
                self._views |= {node, first}
        elif isinstance(found, list | tuple):
            self._parts[node] = (pure, arguments)
        return True

    def _read_item(self, node: fx.Node) -> None:
        whole, item = node.args
        assert isinstance(whole, fx.Node)
        target, arguments = self._parts[whole]
        self._views.add(node)
        self._add(node, target, arguments, int(item), meta=whole.meta)  # type: ignore[arg-type]

    def _add(
        self, node: fx.Node, target: Any, arguments: Mapping[str, Any], item: int | None,
        meta: Mapping[str, Any] | None = None, operation: str = "",
    ) -> None:  # fmt: skip
        module, turn = _module(node.meta if meta is None else meta)
        operation = operation or operation_of(target, arguments, item)
        self.calls.append(Call(node.name, module, operation, target, dict(arguments), item, turn=turn))
        self._values[node] = Ref(node.name)

    def _handed_on(self, first: fx.Node, node: fx.Node) -> Any:
        known = self._values[first]
        return Ref(node.name, known.source) if isinstance(known, Ref) else Ref(node.name)

    def _value(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            if value not in self._values:
                raise CannotExport(f"it computes with {value.name}, which is no tensor")
            return self._values[value]
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        return value

    def _shared(self, node: fx.Node) -> bool:
        """Whether what a call overwrites depends on others through shared memory, where others read it."""
        first = node.all_input_nodes[0]
        return first in self._views


def _is_view(target: torch._ops.OpOverload) -> bool:
    """Whether the output shares memory with an argument."""
    name = target._schema.name
    return any(item.alias_info is not None for item in target._schema.arguments) or name in (
        "aten::reshape", "aten::flatten", "aten::contiguous", "aten::dropout", "aten::to", "aten::expand_as",
    )  # fmt: skip


def _module(meta: Mapping[str, Any]) -> tuple[str, int]:
    """Path of the innermost module, and how often it had been called before."""
    stack = meta.get("nn_module_stack") or {}
    if not stack:
        return "", 0
    key, (path, _kind) = list(stack.items())[-1]
    name, _, turn = key.rpartition("@")
    return path, int(turn) if name and turn.isdecimal() else 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch.export writes of networks that it cannot follow: the error says it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
