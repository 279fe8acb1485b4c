"""A network as a graph of operations, and the arithmetic that produced one of its numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opsin.errors import OpsinError, did_you_mean, some
from opsin.files import plain, read_tensors, to_json, write_tensors
from opsin.records.activity import Box
from opsin.records.common import jsonable
from opsin.records.shown import Shown

TOLERANCE = 1e-5  # of the terms' magnitudes, for numbers of 32 bits or more
# PyTorch rounds its own number to half precision: twice the spacing of such numbers near 1
COARSE_TOLERANCE = {"float16": 2**-9, "bfloat16": 2**-6}
# below these a type's numbers are rounded more coarsely, or to zero
SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


@dataclass(frozen=True)
class Node:
    """One operation of a network.

    Attributes:
        name: unique: the path of the module that made it where that module made only this one ("layer1.0.conv1"),
            otherwise module and operation ("layer1.0.add"). The input is called "input".
        module: the path of the innermost module that made it, "" for the network's own forward.
        operation: as in `torch.nn.functional`: conv2d, linear, batch_norm, relu, flatten, ...; "input"; "constant" for
            a value that does not depend on the input and is no parameter either.
        inputs: names of the nodes that it takes, in the order of the operation's arguments.
        shape: of its output, without the batch axis. Where a network folds other axes into the batch (windows of
            attention), the shape is that of the whole output for one image.
        settings: its other arguments: stride, padding, groups, dim, ...
        weights: which parameters and buffers it takes: role (weight, bias, running_mean, ...) -> name in the state
            dict.
        opens: whether its units open into arithmetic.
    """

    name: str
    module: str
    operation: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    opens: bool = False


@dataclass(frozen=True)
class Failure:
    """The operation at which a network fails.

    Attributes:
        node: the name that the operation would have had.
        module: the module inside which it failed.
        operation: as in `Node`.
        message: what is wrong, with the shapes explained.
        inputs: names of the nodes that it was given.
    """

    node: str
    module: str
    operation: str
    message: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A network as a graph of operations.

    Attributes:
        nodes: in the order in which they run; the first is the input.
        output: name of the node that is the network's answer, "" where the network fails before.
        failed: the operation at which it fails, or None.
        exported: whether `torch.export` gave the graph, which then holds for every image of this size. Otherwise the
            operations of one pass were recorded, and another image may take another way.
        note: what a person should know of it, such as why it could not be exported.
    """

    nodes: tuple[Node, ...]
    output: str
    failed: Failure | None = None
    exported: bool = True
    note: str = ""

    def __len__(self) -> int:
        return len(self.nodes)

    def node(self, name: str) -> Node:
        """The node of a name, or the last one that the module of that name made.

        Raises:
            OpsinError: there is neither.
        """
        found = next((node for node in self.nodes if node.name == name), None)
        inside = [node for node in self.nodes if name and f"{node.module}.".startswith(f"{name}.")]
        if found is None and not inside:
            known = [node.name for node in self.nodes]
            raise OpsinError(f"there is no layer {name!r}{did_you_mean(name, known)}; the layers are {some(known, 8)}")
        return found or inside[-1]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return jsonable(self)


class Term(NamedTuple):
    """One product of an arithmetic: `product = input * weight`.

    Attributes:
        layer: the node that the input comes from, or the name of a parameter in the state dict; "" for a number that
            stands in the code.
        position: where in that node's output (without the batch axis) or parameter.
        input: the number there.
        weight: what it is multiplied with; NaN where a function is applied to it instead.
        product: its part of the total.
        weight_layer: the parameter or node that the weight comes from, or "" where it is computed (1 / n of a mean).
        weight_position: where in it.
        padding: the input lies outside of the layer and counts as zero.
    """

    layer: str
    position: tuple[int, ...]
    input: float
    weight: float
    product: float
    weight_layer: str = ""
    weight_position: tuple[int, ...] = ()
    padding: bool = False


def term_array(
    layer: Any, position: Any, input: Any, weight: Any, product: Any, weight_layer: Any = "",
    weight_position: Any = None, padding: Any = False,
) -> np.recarray:  # fmt: skip
    """A record array with the fields of `Term` from its columns, of n terms each; what is one value holds for all.

    Args:
        layer, weight_layer: text `(n,)`.
        position, weight_position: int `(n, axes)`; a row of fewer axes than others is filled up with -1.
        input, weight, product: float64 `(n,)`.
        padding: bool `(n,)`.
    """
    places = np.asarray(position, np.int32)
    count = len(places)
    weights = np.empty((count, 0), np.int32) if weight_position is None else np.asarray(weight_position, np.int32)
    longest = max(np.asarray(names, str).dtype.itemsize // 4 for names in (layer, weight_layer))
    found = np.recarray(count, dtype=_dtype(longest, places.shape[1], weights.shape[1]))
    columns = (layer, places, input, weight, product, weight_layer, weights, padding)
    for name, column in zip(Term._fields, columns, strict=True):
        found[name] = column
    return found


def join_terms(parts: Sequence[np.recarray]) -> np.recarray:
    """Several term arrays as one; shorter positions are filled up with -1 at the end, which `Trace.term` takes off."""
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, np.ndarray] = {}
    for name in Term._fields:
        values = [np.asarray(part[name]) for part in parts]
        if name.endswith("position"):
            width = max((column.shape[1] for column in values), default=0)
            values = [np.pad(column, ((0, 0), (0, width - column.shape[1])), constant_values=-1) for column in values]
        columns[name] = np.concatenate(values) if values else np.empty((0, 0) if name.endswith("position") else 0)
    return term_array(**columns)


def no_terms() -> np.recarray:
    """Terms of an operation that does not open."""
    return join_terms([])


def _dtype(names: int, longest: int, weights: int) -> np.dtype:
    text = f"U{max(names, 1)}"
    return np.dtype([
        ("layer", text), ("position", np.int32, (longest,)), ("input", np.float64), ("weight", np.float64),
        ("product", np.float64), ("weight_layer", text), ("weight_position", np.int32, (weights,)),
        ("padding", np.bool_),
    ])  # fmt: skip


@dataclass(frozen=True)
class Trace(Shown):
    """The arithmetic that produced one number of one layer.

    Attributes:
        layer: the node's name in the graph.
        operation: as in `Node`.
        unit: where in the node's output, without the batch axis: (channel, row, column) of maps.
        value: PyTorch's own number.
        terms: record array with the fields of `Term`, in the order of the operation; empty where the operation does not
            open.
        bias: what is added to the products.
        receptive_field: top, left, bottom, right in pixels of the input: every pixel that can change the number,
            whatever the weights; bottom and right are the first row and column outside. None where none can.
        local_field: the same without what only rescales whole channels by a statistic of the picture (the gates of
            squeeze-and-excitation, group normalisation); None where nothing else reaches the number.
        fields: per node before: (first, behind the last) along each axis of what the number can depend on there; the
            local field where there is one.
        field_note: what is not known of the fields; "" where they are exact.
        formula: the arithmetic in words.
        details: the other numbers in it, such as mean and variance of a normalisation.
        settings: the operation's.
        shape: of the node's output.
        precision: the type of the network's numbers.
        note: why the operation does not open; "" where it does.
        image: what the image is called.
    """

    layer: str
    operation: str
    unit: tuple[int, ...]
    value: float
    terms: np.recarray
    bias: float = 0.0
    receptive_field: Box | None = None
    local_field: Box | None = None
    fields: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    field_note: str = ""
    formula: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    precision: str = "float32"
    note: str = ""
    image: str = ""

    def __len__(self) -> int:
        return len(self.terms)

    @property
    def opens(self) -> bool:
        """Whether the number opened into arithmetic."""
        return not self.note

    @property
    def total(self) -> float | None:
        """Products and bias summed in float64; None where the operation does not open."""
        return math.fsum([*self.terms.product.tolist(), self.bias]) if self.opens else None

    @property
    def magnitude(self) -> float:
        """The sum of the magnitudes of products and bias, to which the error of a sum is compared."""
        return math.fsum([*np.abs(self.terms.product).tolist(), abs(self.bias)])

    @property
    def error(self) -> float | None:
        """`total - value`; None where the operation does not open."""
        return None if self.total is None else self.total - self.value

    @property
    def tolerance(self) -> float:
        """How far `total` may be from `value`: 1e-5 of `magnitude`, more where the network has half precision; and for
        every term the smallest number that the type holds in full precision."""
        share = COARSE_TOLERANCE.get(self.precision, TOLERANCE)
        return share * self.magnitude + SMALLEST.get(self.precision, 0.0) * (len(self) + 1)

    @property
    def agrees(self) -> bool:
        """Whether the total is PyTorch's own number, within the tolerance; False where the operation does not open."""
        if self.error is None:
            return False
        # numbers beyond the largest of the type are the same on both sides
        return abs(self.error) <= self.tolerance or (not math.isfinite(self.value) and self.total == self.value)

    def term(self, index: int) -> Term:
        """One term with plain values, its positions as tuples."""
        row = self.terms[index]
        return Term(
            str(row.layer), _unfilled(row.position, bool(row.padding)), float(row.input), float(row.weight),
            float(row.product), str(row.weight_layer), _unfilled(row.weight_position, False), bool(row.padding),
        )  # fmt: skip

    def largest(self, count: int) -> list[Term]:
        """The terms with the largest magnitudes, largest first."""
        order = np.argsort(-np.abs(self.terms.product), kind="stable")
        return [self.term(int(index)) for index in order[:count]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the terms as a list, and what follows from them."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "terms"}
        sums = {"total": self.total, "magnitude": self.magnitude, "error": self.error, "agrees": self.agrees}
        terms = [self.term(index)._asdict() for index in range(len(self))]
        return plain({**jsonable(values), **sums, "opens": self.opens, "terms": jsonable(terms)})

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `Trace.load` reads it back."""
        rest = {item.name: jsonable(getattr(self, item.name)) for item in fields(self) if item.name != "terms"}
        names, codes = np.unique(np.stack([self.terms.layer, self.terms.weight_layer]), return_inverse=True)
        columns = {name: np.asarray(self.terms[name]) for name in Term._fields if not name.endswith("layer")}
        columns |= dict(zip(("layer", "weight_layer"), codes.reshape(2, -1).astype(np.int32), strict=True))
        write_tensors(path, columns, {"Trace": to_json({**rest, "names": names.tolist()})})

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no trace.
        """
        columns, metadata = read_tensors(path)
        if "Trace" not in metadata:
            raise OpsinError(f"{path} holds no Trace; expected a file that Trace.save wrote")
        rest = json.loads(metadata["Trace"])
        try:
            names = np.array(rest.pop("names"), str)
            texts = {name: names[columns[name]] for name in Term._fields if name.endswith("layer")}
            terms = term_array(**{**columns, **texts})
            for name in ("unit", "receptive_field", "local_field", "shape"):
                rest[name] = None if rest[name] is None else tuple(rest[name])
            rest["fields"] = {name: tuple(map(tuple, spans)) for name, spans in rest["fields"].items()}
            # JSON has no NaN and no infinity
            rest["value"] = math.nan if rest["value"] is None else rest["value"]
            return cls(terms=terms, **rest)
        except (KeyError, TypeError, IndexError) as error:
            raise OpsinError(f"{path} is no Trace of this version ({error}); make it again") from error


def _unfilled(position: np.ndarray, padding: bool) -> tuple[int, ...]:
    places = position.tolist()
    return tuple(places if padding else [place for place in places if place >= 0])
