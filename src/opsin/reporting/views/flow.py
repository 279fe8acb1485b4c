"""A picture on its way through the network: what is put in, what every layer makes of it, and one number's arithmetic.

Layers are nodes of the graph. Whatever axes a node has, its values are shown as maps (channel, row, column), as
`shown.map_shape` says: (c,) as (c, 1, 1), (r, c) as (1, r, c), more than three axes with the leading ones flattened.
Units, positions and boxes of these answers are in that form.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from opsin.errors import OpsinError
from opsin.inference.answers import Progress
from opsin.reporting.views.subject import Subject

SIDE = 56
LARGEST_FILE = 64 * 2**20
Shift = Annotated[list[float], Field(min_length=2, max_length=2)]
Unit = Annotated[list[int], Field(min_length=3, max_length=3)]


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
    """


def input(
    subject: Subject, *, progress: Progress, image: str,  # noqa: ARG001
    shift: Shift = [0, 0], rotate: float = 0, scale: float = 1,  # noqa: B006
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


def graph(subject: Subject, *, progress: Progress, image: str | None = None) -> dict[str, Any]:
    """The network's graph, for inputs of the size of this picture's (None: the first that there is).

    Returns:
        nodes: in the order in which they run, each {name, module, operation, inputs, shape (without the batch axis),
        settings, weights, opens, output} as in `opsin.records.trace.Node`; output: name of the node that is the answer,
        "" where the network fails before; failed: {node, module, operation, message, inputs} or None; exported; note;
        parameters: {name in the state dict: shape}.
    """


def maps(
    subject: Subject, *, progress: Progress, image: str, layers: list[str] | str = "all",  # noqa: ARG001
    shift: Shift = [0, 0], rotate: float = 0, scale: float = 1,  # noqa: B006
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


def trace(
    subject: Subject, *, progress: Progress, image: str, layer: str, unit: Unit,  # noqa: ARG001
    shift: Shift = [0, 0], rotate: float = 0, scale: float = 1,  # noqa: B006
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
        `(n,)`, weight NaN where a function is applied instead; weight_layers, weight_layer, weight_position: likewise
        for where the weight comes from, weight_position int32 `(n, k)` in the parameter's own axes, -1 for none;
        padding: uint8 `(n,)`.
    """


def fields(subject: Subject, *, progress: Progress, layer: str, unit: Unit, image: str | None = None) -> dict[str, Any]:  # noqa: ARG001
    """What one number can depend on, in every node before and in the input.

    Args:
        layer, unit: as of `trace`.
        image: whose input's size counts; None: the first that there is.

    Returns:
        receptive_field: [top, left, bottom, right] in pixels of the input, or None; note: why it is not known, or what
        to know of it; boxes: {name: [first, behind the last] of channels, rows and columns, six numbers}.
    """
