"""`opsin.trace`: the arithmetic that produced one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.explanation.explain import as_classifier, open_inputs
from opsin.explanation.guards import warn_of_mode
from opsin.explanation.known import remembered
from opsin.explanation.tracing.arithmetic import OPENERS, Arithmetic, CannotOpen, Opening
from opsin.explanation.tracing.calls import Call
from opsin.explanation.tracing.fields import fields_before
from opsin.explanation.tracing.graph import Traced, seeing, trace_graph
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier
from opsin.models.weights import bare
from opsin.records import Graph, Node, Trace


def trace(model: Classifier | str | Path | nn.Module, image: Any, layer: str, unit: int | Sequence[int]) -> Trace:
    """Open one number of a network: this activation is these inputs times these weights, plus this bias.

    Every term says which node and position its input comes from, so that it can be opened in turn.

    Args:
        model: a Classifier, what `load_model` takes, or a module (the image is then a float tensor).
        image: one image: a path, a PIL image, a uint8 array `(h, w, c)`, or a float tensor `(c, h, w)` or
            `(1, c, h, w)` that is already preprocessed.
        layer: a node of the graph: the name of a module, or of what functional code computes ("layer1.0.add"). Of a
            module that made several nodes the last one is meant.
        unit: where in the node's output: (channel, row, column) of maps, (feature,) or its number of a layer without
            places, (token, feature) of tokens; in general an index into the node's shape.

    Returns:
        The Trace. Where the operation does not open, it has the value, no terms, and a note that says so.

    Raises:
        OpsinError: it is not one image, there is no such layer or unit, or the network fails before that layer; the
            message then says at which operation and why.
    """
    classifier = as_classifier(model)
    if isinstance(classifier, BlackBox):
        raise OpsinError(f"trace looks inside the network, and of {classifier.label} only the scores are known")
    warn_of_mode(classifier)
    given = open_inputs(classifier, image)
    if len(given.tensor) != 1:
        raise OpsinError(f"{len(given.tensor)} images were given; trace opens a number of one image")
    traced, values = see(classifier, given.tensor)
    return open_unit(traced, values, layer, unit, image=given.names[0])


def see(model: Classifier, inputs: Tensor) -> tuple[Traced, dict[str, Tensor]]:
    """The graph of a network and the values of its nodes for one image `(1, c, h, w)`.

    An exported graph is kept as long as the network lives, and still compared with the network for each image: code
    that changed since is seen.

    Raises:
        OpsinError: it is not one image.
    """
    traced = _known(model, inputs)
    if traced.graph.exported:
        values = traced.run(inputs)
        with seeing(traced.module):
            own = model.read_output(traced.module(inputs))
        if torch.equal(own.nan_to_num(), values[traced.graph.output].nan_to_num()):
            return traced, values
    traced = trace_graph(model, inputs)
    return traced, traced.run(inputs)


def _known(model: Classifier, inputs: Tensor) -> Traced:
    def find() -> tuple[Graph, Mapping[str, Call]]:
        found = trace_graph(model, inputs)
        return found.graph, found.calls  # without the module, which would then live as long as what is kept of it

    graph, calls = remembered(model, inputs, "graph", find)
    return Traced(graph, bare(model.module), calls)


def open_unit(
    traced: Traced, values: Mapping[str, Tensor], layer: str, unit: int | Sequence[int], *, image: str = ""
) -> Trace:
    """Open one number of a network that is seen through: see `trace`.

    Args:
        traced: what `trace_graph` gave.
        values: what its `run` gave for an image.
        layer, unit: as in `trace`.
        image: what the image is called.

    Raises:
        OpsinError: there is no such layer or unit.
    """
    node = _node(traced, layer)
    value = values[node.name].detach()
    place = _checked(node, unit, value)
    opened, note = _open(traced, values, node, place)
    whole, local = fields_before(traced.calls, values, traced.state(), node.name, place)
    near = local.box()
    shown = {one.name for one in traced.graph.nodes}
    spans = (whole if near is None else local).spans(values)
    return Trace(
        layer=node.name,
        operation=node.operation,
        unit=place[value.ndim - len(node.shape) :],
        value=float(value[place]),
        terms=opened.terms,
        bias=opened.bias,
        receptive_field=whole.box(),
        local_field=near,
        fields={name: span for name, span in spans.items() if name in shown},
        field_note=whole.note,
        formula=opened.formula,
        details=opened.details,
        settings=node.settings,
        shape=node.shape,
        precision=str(value.dtype).removeprefix("torch."),
        note=note,
        image=image,
    )


def _open(traced: Traced, values: Mapping[str, Tensor], node: Node, place: tuple[int, ...]) -> tuple[Arithmetic, str]:
    """The arithmetic, and why there is none."""
    if not node.opens:
        return Arithmetic(), _why_closed(node)
    try:
        with seeing(traced.module):
            opening = Opening(traced.calls[node.name], place, values, traced.state())
            return OPENERS[node.operation](opening), ""
    except CannotOpen as error:
        return Arithmetic(), str(error)


def _why_closed(node: Node) -> str:
    reasons = {
        "input": "it is a number of the input",
        "constant": "it does not depend on the image",
        "outside": "it was computed by other code than PyTorch's, or overwritten through a view",
    }
    return reasons.get(node.operation, f"the operation {node.operation} is not opened; its value is PyTorch's own")


def _node(traced: Traced, layer: str) -> Node:
    failed = traced.graph.failed
    try:
        return traced.graph.node(layer)
    except OpsinError as error:
        if failed is None:
            raise
        raise OpsinError(f"the network fails at {failed.node}: {failed.message}; open a layer before it") from error


def _checked(node: Node, unit: int | Sequence[int], value: Tensor) -> tuple[int, ...]:
    """The place of a unit in the value of its node."""
    given = (unit,) if isinstance(unit, int) else tuple(int(part) for part in unit)
    inside = all(0 <= part < most for part, most in zip(given, node.shape, strict=False))
    if len(given) != len(node.shape) or not inside:
        raise OpsinError(f"unit was given as {given}; expected an index below {node.shape} in {node.name}")
    return (0,) * (value.ndim - len(node.shape)) + given
