"""A network's calls as they happen in one pass: where torch.export cannot follow, and up to where a network fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from opsin.explanation.split import first_tensor
from opsin.explanation.tracing.calls import (
    INPUT,
    Call,
    Ref,
    Weight,
    by_schema,
    is_unseen,
    operation_of,
    state_of,
    without_side_effects,
)  # fmt: skip


@dataclass
class Recording:
    """One pass.

    Attributes:
        calls: in their order, named by numbers.
        values: per call a copy of its output; later in-place operations do not change it.
        answer: which call gave the network's answer; None where it failed or answers with no tensor.
        failed: the call at which it failed, and the error; Python code that failed between them is called "forward".
    """

    calls: list[Call] = field(default_factory=list)
    values: dict[str, Tensor] = field(default_factory=dict)
    answer: Ref | None = None
    failed: tuple[Call, BaseException] | None = None

    @property
    def answered(self) -> bool:
        """Whether the network gave one row of scores, or another tensor of its one image."""
        return self.answer is not None and len(self.values[self.answer.name]) == 1


def record_calls(module: nn.Module, inputs: Tensor) -> Recording:
    """Run the network on `(1, c, h, w)` in evaluation mode and note what it calls.

    An error of the network ends the recording and is noted in it.
    """
    watch = _Watch(module)
    # in inference mode PyTorch hands on operations as the code calls them (linear, not a product and a sum)
    with torch.inference_mode():
        given = inputs.clone()
        watch.begin(given)
        with watch.paths(), watch:
            try:
                answer = module(given)
            except Exception as error:  # whatever a person's own code raises
                watch.found.failed = watch.found.failed or (watch.call_at_fault(), error)
                return watch.found
        tensor = _answer(answer)
        if tensor is not None and id(tensor) in watch.known:
            found = watch.known[id(tensor)]
            watch.found.answer = found if isinstance(found, Ref) else None
    return watch.found


class _Watch(TorchDispatchMode):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.found = Recording()
        self.known: dict[int, Ref | Weight] = {}
        self._alive: list[Tensor] = []  # so that an id means one tensor
        self._running: list[tuple[str, int]] = []
        self._turns: dict[str, int] = {}
        for name, tensor in state_of(module).items():
            self.known.setdefault(id(tensor), Weight(name))

    def begin(self, inputs: Tensor) -> None:
        self._keep(inputs, Ref(INPUT))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        pure = without_side_effects(func) or func
        given = by_schema(func, pure, args, kwargs)
        arguments = {role: self._stand_in(value) for role, value in given.items()}
        try:
            output = func(*args, **kwargs)
        except Exception as error:
            self.found.failed = (self._call(pure, arguments, None), error)
            raise
        first = next((value for value in given.values() if isinstance(value, Tensor)), None)
        if isinstance(output, Tensor):
            seen = first is not None and id(first) in self.known
            if seen and first is not None and is_unseen(pure, arguments, first.dtype):
                self.known[id(output)] = self.known[id(first)]
                self._alive.append(output)
            else:
                self._add(pure, arguments, None, output)
        elif isinstance(output, list | tuple):
            for item, part in enumerate(output):
                if isinstance(part, Tensor):
                    self._add(pure, arguments, item, part)
        return output

    def call_at_fault(self) -> Call:
        """A call for the module that was running when its Python code failed."""
        path, turn = self._running[-1] if self._running else ("", 0)
        return Call("failed", path, "forward", _nothing, {}, turn=turn)

    @contextlib.contextmanager
    def paths(self) -> Iterator[None]:
        """Inside the block it is known which module runs."""
        handles: list[Any] = []

        def enter(name: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any) -> None:
                turn = self._turns.get(name, -1) + 1
                self._turns[name] = turn
                self._running.append((name, turn))

            return hook

        def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            self._running.pop()

        try:
            for name, part in self.module.named_modules():
                handles += [part.register_forward_pre_hook(enter(name)), part.register_forward_hook(leave)]
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _add(self, target: Any, arguments: dict[str, Any], item: int | None, output: Tensor) -> None:
        call = self._call(target, arguments, item)
        self.found.calls.append(call)
        self._keep(output, Ref(call.name))

    def _call(self, target: Any, arguments: dict[str, Any], item: int | None) -> Call:
        path, turn = self._running[-1] if self._running else ("", 0)
        operation = operation_of(target, arguments, item)
        return Call(f"call {len(self.found.calls)}", path, operation, target, arguments, item, turn=turn)

    def _keep(self, tensor: Tensor, ref: Ref) -> None:
        self.known[id(tensor)] = ref
        self._alive.append(tensor)
        self.found.values[ref.name] = tensor.clone()

    def _stand_in(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._stand_in(item) for item in value]
        if not isinstance(value, Tensor):
            return value
        found = self.known.get(id(value))
        if found is None or (isinstance(found, Ref) and not self._is_as_kept(value, found)):
            return self._from_outside(value)
        return found

    def _is_as_kept(self, value: Tensor, ref: Ref) -> bool:
        """Whether a tensor still holds what it held: it may have been overwritten through a view of it."""
        kept = self.found.values[ref.name]
        return kept.shape == value.shape and torch.equal(kept.nan_to_num(), value.nan_to_num())

    def _from_outside(self, value: Tensor) -> Ref:
        """A call for a tensor of which no operation is known: made by other code than PyTorch's, or overwritten."""
        path, turn = self._running[-1] if self._running else ("", 0)
        call = Call(f"call {len(self.found.calls)}", path, "outside", _nothing, {}, turn=turn)
        self.found.calls.append(call)
        self._keep(value, Ref(call.name))
        return Ref(call.name)


def _nothing() -> Tensor:
    raise NotImplementedError


def _answer(output: Any) -> Tensor | None:
    if isinstance(output, dict):
        return output.get("logits")
    return first_tensor(output) if not hasattr(output, "logits") else output.logits
