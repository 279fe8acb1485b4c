"""A picture on its way through the network: what is put in, what every layer makes of it, and one number's arithmetic.

Layers are nodes of the graph. Whatever axes a node has, its values are shown as maps (channel, row, column), as
`shown.map_shape` says: (c,) as (c, 1, 1), (r, c) as (1, r, c), more than three axes with the leading ones flattened.
Units, positions and boxes of these answers are in that form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from opsin.errors import OpsinError
from opsin.inference.answers import Progress
from opsin.records.activity import Box
from opsin.records.trace import Graph, Node
from opsin.reporting.views.images import fitted
from opsin.reporting.views.moving import Move
from opsin.reporting.views.shown import Levels, map_box, map_positions, map_shape, node_position
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.traced import Pass, any_pass, given_of, pass_of, traced_of

SIDE = 56
ORIGINAL_SIDE = 320
LARGEST_FILE = 64 * 2**20
Shift = tuple[float, float]
Unit = tuple[int, int, int]


def put(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    pixels: np.ndarray | None = None,
    file: np.ndarray | None = None,
    name: str = "",
) -> dict[str, Any]:
    """Keep a picture that a person drew (`pixels`: uint8 `(h, w, c)`) or dropped (`file`: the bytes of an image file).

    Returns:
        id: under which the other questions take it; name; size: [height, width].

    Raises:
        OpsinError: neither or both were given, or they are no picture.
    """
    if pixels is not None and file is None:
        kept = subject.images.put(pixels, name)
    elif file is not None and pixels is None:
        if file.dtype != np.uint8 or file.nbytes > LARGEST_FILE:
            raise OpsinError(f"{name} has {file.nbytes} bytes; expected at most {LARGEST_FILE // 2**20} MiB as uint8")
        kept = subject.images.put_file(file.tobytes(), name)
    else:
        given = "neither pixels nor a file" if pixels is None else "both pixels and a file"
        raise OpsinError(f"put was given {given}; expected one of them")
    return {"id": kept.id, "name": kept.name, "size": list(kept.pixels.shape[:2])}


def input(
    subject: Subject, *, progress: Progress, image: str,  # noqa: ARG001
    shift: Shift = (0.0, 0.0), rotate: float = 0.0, scale: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """A picture and what the network gets of it.

    Args:
        image: the picture's id.
        shift, rotate, scale: the input moved before it is normalised, as `moving.Move` has it.

    Returns:
        image; name; label: class index or None;
        original: uint8 `(h, w, c)`, c 1 to 4, its longer side at most 320 pixels; original_size: [height, width] of the
        picture itself; geometry: [top, left, bottom, right] of the (unmoved) input in that picture's pixels;
        pixels: uint8 `(h, w, c)`, what the network sees, moved, before it is normalised;
        tensor: float32 `(c, h, w)`, as the network gets it; mean, std: lists with one number per channel.
    """
    seen = subject.images[image]
    given = given_of(subject, seen, Move(shift, rotate, scale))
    preprocess = subject.model.preprocess
    assert preprocess is not None
    return {
        "image": image,
        "name": seen.name,
        "label": seen.label,
        "original": _original(seen.pixels),
        "original_size": list(seen.pixels.shape[:2]),
        "geometry": list(given.geometry),
        "pixels": given.pixels,
        "tensor": given.tensor[0].float().cpu().numpy(),
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
    }


def _original(pixels: np.ndarray) -> np.ndarray:
    """uint8 `(h, w, c)`: the picture, no larger than it is shown."""
    if max(pixels.shape[:2]) <= ORIGINAL_SIDE:
        return pixels
    return fitted(pixels, ORIGINAL_SIDE)


def graph(subject: Subject, *, progress: Progress, image: str | None = None) -> dict[str, Any]:
    """The network's graph, for inputs of the size of this picture's (None: the first that there is).

    Returns:
        nodes: in the order in which they run, each {name, module, operation, inputs, shape (without the batch axis),
        settings, weights, opens, output} as in `opsin.records.trace.Node`; output: name of the node that is the answer,
        "" where the network fails before; failed: {node, module, operation, message, inputs} or None; exported; note;
        parameters: {name in the state dict: shape}.
    """
    inputs = None if image is None else given_of(subject, subject.images[image], Move()).tensor
    traced = traced_of(subject, inputs, progress)
    used = {name for node in traced.graph.nodes for name in node.weights.values()}
    state = traced.state()
    return {**traced.graph.as_dict(), "parameters": {name: list(state[name].shape) for name in sorted(used)}}


def maps(
    subject: Subject, *, progress: Progress, image: str, layers: list[str] | str = "all",  # noqa: ARG001
    shift: Shift = (0.0, 0.0), rotate: float = 0.0, scale: float = 1.0,
    side: int | None = SIDE, exact: bool = False, channels: list[int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What layers make of a picture.

    Args:
        image, shift, rotate, scale: as of `input`.
        layers: names of nodes, or "all".
        side: maps are shrunk to at most so many cells a side (`shown.shrunk_maps`); None: whole.
        exact: whole maps as float32 instead of bytes; `side` does not count then.
        channels: only these, in this order; None: all.

    Returns:
        probabilities: float32 `(classes,)` after softmax; logits: float32 `(classes,)`; both None where the network
        fails before its answer;
        layers: {name: maps}, each {values: uint8 or (exact) float32 `(c, h, w)`, low, high: float32 `(c,)`, what 0 and
        255 stand for: the channel's own smallest and largest value before shrinking; size: [h, w] of the whole maps}.
        Nodes that the network does not reach are left out.
    """
    found = pass_of(subject, image, Move(shift, rotate, scale))
    logits = found.logits(subject.model)
    return {
        "probabilities": None if logits is None else probabilities(logits),
        "logits": logits,
        "layers": {
            node.name: _maps(found, node, side=side, exact=exact, channels=channels)
            for node in _wanted(found.traced.graph, layers)
            if node.name in found.values
        },
    }


def probabilities(logits: np.ndarray) -> np.ndarray:
    """float32 softmax over the last axis."""
    return torch.from_numpy(logits).double().softmax(-1).float().numpy()


def _wanted(graph: Graph, layers: list[str] | str) -> list[Node]:
    if layers == "all":
        return list(graph.nodes)
    return [graph.node(name) for name in ([layers] if isinstance(layers, str) else layers)]


def _maps(found: Pass, node: Node, *, side: int | None, exact: bool, channels: list[int] | None) -> dict[str, Any]:
    shape = map_shape(node.shape)
    whole = found.numbers(node).reshape(shape)
    if channels is not None:
        outside = [channel for channel in channels if not 0 <= channel < shape[0]]
        if outside:
            raise OpsinError(f"channel {outside[0]} of {node.name} was asked for; it has {shape[0]}")
        whole = whole[channels]
    size = {"size": list(shape[1:])}
    if exact:
        return {"values": whole, "low": whole.min(axis=(1, 2)), "high": whole.max(axis=(1, 2)), **size}
    return {**Levels.of(whole, side).as_dict(), **size}


def trace(
    subject: Subject, *, progress: Progress, image: str, layer: str, unit: Unit,  # noqa: ARG001
    shift: Shift = (0.0, 0.0), rotate: float = 0.0, scale: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """The arithmetic of one number.

    Args:
        image, shift, rotate, scale: as of `input`.
        layer: name of a node.
        unit: [channel, row, column] of its maps.

    Returns:
        layer; operation; unit; value: the network's own number; opens; note: why it does not open; formula; bias;
        total: products and bias in float64, None where it does not open; magnitude; error: total - value; agrees;
        settings; details: {name: number or list}; shape: of the node; receptive_field: [top, left, bottom, right] in
        pixels of the input, or None; field_note; boxes: as of `fields`;
        terms, each array with one entry per term: layers: [names], layer: int32 `(n,)`, index into layers;
        position: int32 `(n, 3)`, channel, row, column of that layer's maps (outside of them where padding; of a
        parameter, or where there are no such axes, as `shown.map_positions` has it); input, weight, product: float32
        `(n,)`, weight NaN where a function is applied instead; weight_layers, weight_layer: likewise for where the
        weight comes from; weight_position: int32 `(n, k)`, in that parameter's or layer's own axes, filled up with -1;
        padding: uint8 `(n,)`.
    """
    from opsin.explanation.tracing.trace import open_unit

    found = pass_of(subject, image, Move(shift, rotate, scale))
    node = found.node(layer)
    opened = open_unit(found.traced, found.values, layer, node_position(node.shape, unit), image=image)
    shapes = {item.name: item.shape for item in found.traced.graph.nodes}
    return {
        "layer": node.name,
        "operation": opened.operation,
        "unit": list(unit),
        **{name: getattr(opened, name) for name in _PLAIN},
        "receptive_field": _rectangle(opened.local_field or opened.receptive_field),
        "boxes": {name: map_box(shapes[name], spans) for name, spans in opened.fields.items()},
        "terms": _terms(opened.terms, shapes),
    }


_PLAIN = (
    "value", "opens", "note", "formula", "bias", "total", "magnitude", "error", "agrees", "settings", "details",
    "shape", "field_note",
)  # fmt: skip


def _rectangle(box: Box | None) -> list[int] | None:
    return None if box is None else list(box)


def _terms(terms: np.recarray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    layers, layer = np.unique(np.asarray(terms.layer), return_inverse=True)
    weight_layers, weight_layer = np.unique(np.asarray(terms.weight_layer), return_inverse=True)
    position = np.zeros((len(terms), 3), np.int32)
    for index, name in enumerate(layers):
        rows = layer == index
        given = np.asarray(terms.position)[rows]
        shape = shapes.get(str(name), (0,) * int((given >= 0).any(axis=0).sum()))
        position[rows] = map_positions(shape, given)
    return {
        "layers": layers.tolist(),
        "layer": layer.astype(np.int32),
        "position": position,
        "input": np.asarray(terms.input),
        "weight": np.asarray(terms.weight),
        "product": np.asarray(terms["product"]),
        "weight_layers": weight_layers.tolist(),
        "weight_layer": weight_layer.astype(np.int32),
        "weight_position": np.asarray(terms.weight_position),
        "padding": np.asarray(terms.padding),
    }


def fields(
    subject: Subject, *, progress: Progress, layer: str, unit: Unit, image: str | None = None,  # noqa: ARG001
) -> dict[str, Any]:  # fmt: skip
    """What one number can depend on, in every node before and in the input.

    Args:
        layer, unit: as of `trace`.
        image: whose input's size counts; None: the first that there is.

    Returns:
        receptive_field: [top, left, bottom, right] in pixels of the input, or None; note: operations of which it is not
        known what they take, so that all is counted; boxes: {name: [first, behind the last] of channels, rows and
        columns, six numbers}. Where a statistic of whole channels (a global pool in a gate) would open everything, what
        is given is the field without it.
    """
    found = any_pass(subject, image)
    node = found.node(layer)
    if node.name not in found.values:
        raise OpsinError(f"{layer} was asked about; the network fails before it")
    return _fields(found, node, node_position(node.shape, unit))


def _fields(found: Pass, node: Node, position: tuple[int, ...]) -> dict[str, Any]:
    from opsin.explanation.tracing.fields import fields_before

    traced, values = found.traced, found.values
    place = (0,) * (values[node.name].ndim - len(position)) + position
    whole, local = fields_before(traced.calls, values, traced.state(), node.name, place)
    fields = whole if local.box() is None else local
    spans, shapes = fields.spans(values), {item.name: item.shape for item in traced.graph.nodes}
    return {
        "receptive_field": _rectangle(fields.box()),
        "note": ", ".join(dict.fromkeys(fields.unknown)),
        "boxes": {name: map_box(shapes[name], span) for name, span in spans.items() if name in shapes},
    }
