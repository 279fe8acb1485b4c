"""A subject's network seen through, and what its nodes made of the picture that was last asked about.

Seeing through a network costs seconds and a pass a part of one; the questions about one picture come one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from opsin.data.images import Opened, decode_each, each_image
from opsin.errors import OpsinError
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier
from opsin.records.trace import Node
from opsin.reporting.views.images import Seen
from opsin.reporting.views.moving import Move, moved
from opsin.reporting.views.subject import Subject

if TYPE_CHECKING:
    from opsin.explanation.tracing.graph import Traced


class Given(NamedTuple):
    """A picture as the network gets it.

    Attributes:
        tensor: float `(1, c, h, w)` on the network's device.
        pixels: uint8 `(h, w, c)`, before normalising.
        geometry: top, left, bottom, right of the unmoved input in the picture's pixels.
    """

    tensor: Tensor
    pixels: np.ndarray
    geometry: tuple[float, float, float, float]


@dataclass(frozen=True)
class Pass:
    """One picture's way through the network.

    Attributes:
        traced: the network.
        inputs: float `(1, c, h, w)`.
        values: what every node gave, by name; of a network that fails, those before.
    """

    traced: Traced
    inputs: Tensor
    values: Mapping[str, Tensor]

    def node(self, layer: str) -> Node:
        """The node of a name.

        Raises:
            OpsinError: there is none.
        """
        return self.traced.graph.node(layer)

    def numbers(self, node: Node) -> np.ndarray:
        """float32 of the node's shape: what it gave, without the batch axis."""
        value = self.values[node.name]
        value = value[0] if value.ndim > len(node.shape) else value
        return value.detach().float().cpu().numpy()

    def logits(self, model: Classifier) -> np.ndarray | None:
        """float32 `(classes,)`, or None where the network fails before its answer."""
        graph = self.traced.graph
        if graph.failed is not None or graph.output not in self.values:
            return None
        return model.read_output(self.values[graph.output], 1)[0].float().cpu().numpy()


@dataclass
class _Kept:
    """What is kept of one network: its graph per shape of the input, and the last pass."""

    traced: dict[tuple[int, ...], Traced]
    last: tuple[str, Move, Pass] | None = None


_KEPT: WeakKeyDictionary[Classifier, _Kept] = WeakKeyDictionary()
_ONE_AT_A_TIME = threading.RLock()


def given_of(subject: Subject, seen: Seen, move: Move) -> Given:
    """A picture as the network gets it, moved.

    Raises:
        OpsinError: the network takes no pictures.
    """
    model = subject.model
    if model.preprocess is None:
        raise OpsinError(
            f"{model.label} has no Preprocess and takes no pictures; say how a picture becomes its input: "
            "Classifier(module, classes=..., preprocess=...)"
        )
    if seen.prepared:
        height, width = seen.pixels.shape[:2]
        pixels, geometry = seen.pixels, (0.0, 0.0, float(height), float(width))
    else:
        opened = decode_each(each_image(seen.pixels), model.preprocess)[0]
        if not isinstance(opened, Opened):
            raise OpsinError(f"{seen.name} cannot be read as an image: {opened.reason}")
        pixels, geometry = opened.pixels, opened.geometry
    pixels = moved(pixels, move)
    tensor = model.preprocess.normalise(pixels[None]).to(model.device, _dtype(model))
    return Given(tensor, pixels, geometry)


def traced_of(subject: Subject, inputs: Tensor | None = None, progress: Progress | None = None) -> Traced:
    """The network seen through, for inputs of one size; kept as long as the network.

    Args:
        subject: what is looked at.
        inputs: float `(1, c, h, w)`; None: of the size that the network expects.
        progress: told when it takes long.

    Raises:
        OpsinError: that size is not known.
    """
    model = subject.model
    if inputs is None:
        inputs = _nothing(model)
    with _ONE_AT_A_TIME:
        kept = _KEPT.setdefault(model, _Kept({}))
        shape = tuple(inputs.shape)
        if shape not in kept.traced:
            if progress is not None:
                progress("seeing through the network", 0, 1)
            kept.traced[shape] = _seen_through(model, inputs)
        return kept.traced[shape]


def pass_of(subject: Subject, image: str, move: Move) -> Pass:
    """What every node makes of a picture; the last one is kept.

    Raises:
        OpsinError: there is no such picture, or the network takes none.
    """
    model = subject.model
    with _ONE_AT_A_TIME:
        kept = _KEPT.setdefault(model, _Kept({}))
        if kept.last is not None and kept.last[:2] == (image, move):
            return kept.last[2]
        inputs = given_of(subject, subject.images[image], move).tensor
        found = _pass(subject, inputs)
        kept.last = (image, move, found)
        return found


def any_pass(subject: Subject, image: str | None) -> Pass:
    """A pass where only the sizes count: the last one, whatever its picture, or one of nothing."""
    kept = _KEPT.get(subject.model)
    if image is not None:
        inputs = given_of(subject, subject.images[image], Move()).tensor
        if kept is None or kept.last is None or kept.last[2].inputs.shape != inputs.shape:
            return pass_of(subject, image, Move())
    if kept is not None and kept.last is not None:
        return kept.last[2]
    return _pass(subject, _nothing(subject.model))


def _nothing(model: Classifier) -> Tensor:
    """An input of zeros, of the size that a network expects."""
    if model.size is None or model.channels is None:
        raise OpsinError(f"the input size of {model.label} is not known; give it a Preprocess")
    return torch.zeros(1, model.channels, *model.size, device=model.device, dtype=_dtype(model))


def _dtype(model: Classifier) -> torch.dtype:
    return next((item.dtype for item in model.module.parameters() if item.is_floating_point()), torch.float32)


def _pass(subject: Subject, inputs: Tensor) -> Pass:
    traced = traced_of(subject, inputs)
    try:
        return Pass(traced, inputs, traced.run(inputs))
    except OpsinError:
        if traced.graph.exported:
            raise
        # a recorded network that takes another way for this picture: its own graph
        traced = _KEPT[subject.model].traced[tuple(inputs.shape)] = _seen_through(subject.model, inputs)
        return Pass(traced, inputs, traced.run(inputs))


def _seen_through(model: Classifier, inputs: Tensor) -> Traced:
    # torch.export is slow to import: views that look at records alone never need it
    from opsin.explanation.tracing.graph import trace_graph

    return trace_graph(model, inputs)
