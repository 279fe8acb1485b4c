"""Any network as a graph of operations whose values can all be had by name."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.explanation.split import normal_mode
from opsin.explanation.tracing.arithmetic import OPENERS
from opsin.explanation.tracing.attention import with_steps
from opsin.explanation.tracing.calls import INPUT, Call, Ref, Weight, of_the_image, replaced, state_of
from opsin.explanation.tracing.exported import CannotExport, exported_calls
from opsin.explanation.tracing.failures import explain_answer, explain_failure
from opsin.explanation.tracing.names import node_names
from opsin.explanation.tracing.recorded import Recording, record_calls
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare
from opsin.records import Failure, Graph, Node


@dataclass(frozen=True)
class Traced:
    """A network that is seen through.

    Attributes:
        graph: its nodes.
        module: the network.
        calls: per name the call that makes a value, in their order. Those that do not depend on the image are among
            them, also where no node shows them.
    """

    graph: Graph
    module: nn.Module
    calls: Mapping[str, Call]

    def run(self, inputs: Tensor) -> dict[str, Tensor]:
        """What every node gives for one image `(1, c, h, w)`, by name, as PyTorch shapes it (with the batch axis).

        The network's answer among them is the number that the network gives, bit for bit.

        Raises:
            OpsinError: it is not one image, not of the size that was seen, or it takes another way through the network.
        """
        one_image(inputs)
        shape = self.graph.nodes[0].shape
        if tuple(inputs.shape[1:]) != shape:
            raise OpsinError(f"an input of shape {tuple(inputs.shape)} was given; the graph is that of {(1, *shape)}")
        with seeing(self.module):
            return self._compute(inputs) if self.graph.exported else self._record(inputs)

    def state(self) -> dict[str, Tensor]:
        """Parameters and buffers by their names in the state dict."""
        return state_of(self.module)

    def _compute(self, inputs: Tensor) -> dict[str, Tensor]:
        return _computed(self.calls, inputs, self.state(), {})

    def _record(self, inputs: Tensor) -> dict[str, Tensor]:
        again, values = _from_recording(self.module, inputs, record_calls(self.module, inputs), "")
        if again.graph.nodes != self.graph.nodes:
            raise OpsinError("the network takes another way for this image; call trace_graph with this image")
        return values


def trace_graph(model: Classifier | nn.Module, inputs: Tensor) -> Traced:
    """See a network through: every operation that it runs for one image, with the module that called it.

    The graph is exported (`torch.export`) and its answer compared with the network's own. Where that fails, or the
    answer is another one, the operations of this one pass are recorded instead, and the graph's note says so. A network
    that fails at some operation is shown up to there.

    Args:
        model: a Classifier or a module; compiled and DataParallel ones are looked into.
        inputs: one image `(1, c, h, w)` as the network takes it.

    Raises:
        OpsinError: it is not one image.
    """
    one_image(inputs)
    module = bare(model.module if isinstance(model, Classifier) else model)
    with seeing(module):
        recording = record_calls(module, inputs)
        note = ""
        if recording.answered:
            try:
                return _exported(module, inputs, recording)
            except CannotExport as error:
                note = f"torch.export cannot follow this network ({error}); its operations were recorded for one image"
        return _from_recording(module, inputs, recording, note)[0]


@contextlib.contextmanager
def seeing(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, and attention computed in the steps that its code names."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluating(module), normal_mode(), torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def one_image(inputs: Tensor) -> None:
    """Raises OpsinError where a tensor is not one image as a network takes it."""
    if inputs.ndim not in (4, 5) or len(inputs) != 1:
        raise OpsinError(
            f"a tensor of shape {tuple(inputs.shape)} was given; expected one image as the network takes it: "
            "(1, channels, height, width)"
        )


def unit_shape(value: Tensor) -> tuple[int, ...]:
    """A value's shape without the axis of the one image."""
    return tuple(value.shape[1:]) if value.ndim and value.shape[0] == 1 else tuple(value.shape)


@dataclass(frozen=True)
class _Lowered:
    """Calls under the names of their nodes, and which of them is the answer."""

    calls: dict[str, Call]
    answer: str
    names: dict[str, str]

    def kept(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Values by the names of the nodes."""
        return {self.names[name]: value for name, value in values.items() if name in self.names}


def _lowered(calls: Sequence[Call], answer: Ref | None) -> _Lowered:
    steps = _needed([step for call in calls for step in with_steps(call)], answer)
    names = {INPUT: INPUT, **node_names(steps)}

    def new(item: Ref | Weight) -> Ref | Weight:
        return Ref(names[item.name], names.get(item.of, "")) if isinstance(item, Ref) else item

    found = {}
    for call in steps:
        arguments = {role: replaced(value, new) for role, value in call.arguments.items()}
        helper = None if call.helper is None else Ref(names[call.helper.name])
        name = names[call.name]
        found[name] = dataclasses.replace(call, name=name, arguments=arguments, helper=helper)
    return _Lowered(found, "" if answer is None else names[answer.source], names)


def _needed(calls: Sequence[Call], answer: Ref | None) -> list[Call]:
    """The calls on which the answer depends; without an answer all but the parts of tuples that nothing takes."""
    wanted = set() if answer is None else {answer.source}
    found = []
    for at in reversed(range(len(calls))):
        call = calls[at]
        last = answer is None and (at == len(calls) - 1 or call.item is None)
        if call.name in wanted or last:
            found.append(call)
            wanted |= {ref.name for ref in call.refs}
            wanted |= set() if call.helper is None else {call.helper.name}
    return found[::-1]


def _computed(
    calls: Mapping[str, Call], inputs: Tensor, state: Mapping[str, Tensor], kept: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    values = {INPUT: inputs, **{name: value for name, value in kept.items() if name != INPUT}}

    def tensor(item: Ref | Weight) -> Tensor:
        return values[item.name] if isinstance(item, Ref) else state[item.name]

    for name, call in calls.items():
        if name not in values:
            values[name] = call.run(tensor)
    return {name: values[name] for name in (INPUT, *calls)}


def _graph(lowered: _Lowered, values: Mapping[str, Tensor]) -> Graph:
    varying = of_the_image(lowered.calls)
    shown = {ref.source for name in varying for ref in _inputs(lowered.calls[name])}
    nodes = [Node(INPUT, "", INPUT, (), unit_shape(values[INPUT]))]
    for name, call in lowered.calls.items():
        if call.unseen:
            continue
        if name in varying:
            nodes.append(_node(call, values[name]))
        elif name in shown:
            nodes.append(Node(name, call.module, "constant", (), unit_shape(values[name])))
    return Graph(tuple(nodes), lowered.answer)


def _inputs(call: Call) -> list[Ref]:
    """The calls that a node shows as its inputs: attention that of its weights and its values."""
    value = call.arguments.get("value")
    return [call.helper, value] if call.helper is not None and isinstance(value, Ref) else call.refs


def _node(call: Call, value: Tensor) -> Node:
    inputs = tuple(ref.source for ref in _inputs(call))
    opens = call.operation in OPENERS and value.is_floating_point()
    return Node(call.name, call.module, call.operation, inputs, unit_shape(value), call.settings, call.weights, opens)


def _exported(module: nn.Module, inputs: Tensor, recording: Recording) -> Traced:
    assert recording.answer is not None
    expected = recording.values[recording.answer.name]
    calls, answer = exported_calls(module, inputs)
    state, lowered = state_of(module), _lowered(calls, answer)
    unknown = [name for call in lowered.calls.values() for name in call.weights.values() if name not in state]
    if unknown:
        raise CannotExport(f"{unknown[0]} is no parameter or buffer")
    values = _computed(lowered.calls, inputs, state, {})
    found = values[lowered.answer]
    if found.shape != expected.shape or not torch.equal(found.nan_to_num(), expected.nan_to_num()):
        raise CannotExport("what it gives is not what the network gives, or the network draws random numbers")
    return Traced(_graph(lowered, values), module, lowered.calls)


def _from_recording(
    module: nn.Module, inputs: Tensor, recording: Recording, note: str
) -> tuple[Traced, dict[str, Tensor]]:
    """The graph of one pass, up to the operation that failed, and what its nodes gave."""
    broken = [] if recording.failed is None else [recording.failed[0]]
    lowered = _lowered([*recording.calls, *broken], recording.answer if recording.answered else None)
    state, calls = state_of(module), dict(lowered.calls)
    last = calls.pop(list(calls)[-1]) if broken else None
    values = _computed(calls, inputs, state, lowered.kept(recording.values))
    graph = _graph(dataclasses.replace(lowered, calls=calls), values)
    failure = None
    if last is not None and recording.failed is not None:
        message = explain_failure(last, recording.failed[1], values, state)
        failure = Failure(last.name, last.module, last.operation, message, tuple(ref.source for ref in _inputs(last)))
    elif not recording.answered:
        failure = explain_answer(graph.nodes, values)
    graph = dataclasses.replace(graph, exported=False, failed=failure, note=note)
    return Traced(graph, module, calls), values
