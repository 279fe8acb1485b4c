"""`opsin trace`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from opsin.cli.own import Own
from opsin.errors import CheckFailed, OpsinError

if TYPE_CHECKING:
    import numpy as np

    from opsin.records import Graph, Node, Term, Trace

LARGEST = 10
CHANNELS = 3  # whose windows are shown
WIDEST = 11


def trace(
    model: str,
    image: Path,
    /,
    *,
    layer: str | None = None,
    unit: str | None = None,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    json: bool = False,
) -> int:
    """Open one number of a network down to its arithmetic.

    Without --layer it lists the layers, up to the operation at which the network fails, if it does.

    Args:
        model: a run, a .safetensors file, a network with pretrained weights, or my.py:CNN with --weights and --size.
        image: one image file.
        layer: the layer, by its name in the list.
        unit: which number of it: channel, row and column, such as 5,12,7; one number of a layer without places.
        json: print one JSON document.
    """
    from opsin.cli.show import document
    from opsin.explanation.explain import open_inputs
    from opsin.explanation.tracing.graph import trace_graph
    from opsin.explanation.tracing.trace import trace as open_number

    classifier = own.open(model)
    if layer is None:
        if unit is not None:
            raise OpsinError(f"--unit {unit} needs --layer; without both the layers are listed")
        graph = trace_graph(classifier, open_inputs(classifier, image).tensor).graph
        document(graph.as_dict()) if json else print(graph_text(graph))
        if graph.failed is not None:
            raise CheckFailed(f"the network fails at {graph.failed.node}: {graph.failed.message}")
        return 0
    if unit is None:
        raise OpsinError(f"--layer {layer} needs --unit: channel, row and column, such as --unit 5,12,7")
    found = open_number(classifier, image, layer, _unit(unit))
    document(found.as_dict()) if json else print(trace_text(found))
    if found.opens and not found.agrees:
        raise CheckFailed(f"the terms add up to {found.total:.9g}, and PyTorch gives {found.value:.9g}")
    return 0


def _unit(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise OpsinError(
            f"--unit was given as {text}; expected whole numbers separated by commas, such as 5,12,7"
        ) from None


def graph_text(graph: Graph) -> str:
    """The layers with their operations and shapes; a failed operation is marked at the end."""
    from opsin.cli.show import table

    rows = [
        (node.name, node.operation, _spelled(node.shape), ", ".join(node.inputs), _closed(node)) for node in graph.nodes
    ]
    if graph.failed is not None:
        failed = graph.failed
        rows.append((failed.node, failed.operation, "fails here", ", ".join(failed.inputs), ""))
    return "\n".join([table(("layer", "operation", "shape", "from", ""), rows), *([graph.note] if graph.note else [])])


def _closed(node: Node) -> str:
    return "" if node.opens or node.operation == "input" else "does not open"


def trace_text(found: Trace) -> str:
    """The arithmetic: the windows, the largest terms, the sum beside PyTorch's number, and the receptive field."""
    of = f" of {found.image}" if found.image else ""
    lines = [f"{found.layer} {_at(found.unit)}: {found.operation}{of}"]
    if found.opens:
        lines += [found.formula, *_windows(found), "", *_largest(found), "", *_sums(found)]
    else:
        lines += [f"does not open: {found.note}", f"value  {_number(found.value)}"]
    return "\n".join([*lines, *_field(found)])


def _windows(found: Trace) -> Iterator[str]:
    """A window of a convolution or pool, input x weight place by place, for the channels that add most."""
    import numpy as np

    from opsin.cli.show import table

    terms = found.terms
    if terms.position.shape[1] != 3 or len(terms) < 2 or len(np.unique(terms.layer)) > 1:
        return
    channels: dict[int, Any] = {
        int(channel): terms[terms.position[:, 0] == channel] for channel in np.unique(terms.position[:, 0])
    }
    if any(_is_no_window(part.position) for part in channels.values()):
        return
    order = sorted(channels, key=lambda channel: -abs(float(channels[channel].product.sum())))
    for channel in order[:CHANNELS]:
        part = channels[channel]
        rows, columns = (np.unique(part.position[:, axis]).tolist() for axis in (1, 2))
        cells = {tuple(row.position[1:].tolist()): _cell(row) for row in part}
        yield f"\nchannel {channel} of {part.layer[0]}: {_number(float(part.product.sum()))}"
        yield table(("", *map(str, columns)), [(str(y), *(cells.get((y, x), "") for x in columns)) for y in rows])
    if len(order) > CHANNELS:
        yield f"... and {len(order) - CHANNELS:,} channels more"


def _is_no_window(position: np.ndarray) -> bool:
    """Whether a number is there twice, or the places are too far apart for a table."""
    import numpy as np

    columns = len(np.unique(position[:, 2]))
    return len(np.unique(position, axis=0)) < len(position) or columns > WIDEST


def _cell(row: Any) -> str:
    return "padding" if row.padding else f"{row.input:.3g} x {row.weight:.3g}"


def _largest(found: Trace) -> Iterator[str]:
    from opsin.cli.show import table

    if not len(found):
        return
    rows = [_row(term) for term in found.largest(LARGEST)]
    yield table(("from", "at", "input", "weight", "product", "weight from"), rows)
    if len(found) > LARGEST:
        yield f"... and {len(found) - LARGEST:,} terms more"


def _row(term: Term) -> tuple[str, ...]:
    applied = term.weight != term.weight
    return (
        "padding" if term.padding else term.layer or "constant", _at(term.position), _number(term.input),
        "function" if applied else _number(term.weight), _number(term.product),
        f"{term.weight_layer} {_at(term.weight_position)}" if term.weight_layer else "",
    )  # fmt: skip


def _sums(found: Trace) -> list[str]:
    from opsin.cli.show import table

    plain = {name: value for name, value in found.details.items() if isinstance(value, int | float)}
    details = [", ".join(f"{name} {value:.6g}" for name, value in plain.items())] if plain else []
    total, error = found.total or 0.0, found.error or 0.0
    products = f"sum of {len(found):,} product{'' if len(found) == 1 else 's'}"
    rows = [
        (products, _number(total - found.bias), ""),
        ("bias", _number(found.bias), ""),
        ("total", _number(total), ""),
        ("PyTorch's value", _number(found.value), f"the total differs by {abs(error):.1g}"),
    ]
    return [*details, *table(("", "", ""), rows).splitlines()[1:]]


def _field(found: Trace) -> list[str]:
    box = found.receptive_field
    if box is None:
        return ["receptive field: no pixel of the input can change it"]
    lines = [f"receptive field: {_box(box)}"]
    if found.local_field is not None and found.local_field != box:
        lines.append(f"without statistics of the whole picture: {_box(found.local_field)}")
    return [*lines, *([found.field_note] if found.field_note else [])]


def _box(box: Sequence[int]) -> str:
    top, left, bottom, right = box
    return f"rows {top} to {bottom - 1}, columns {left} to {right - 1} ({bottom - top} x {right - left} pixels)"


def _at(position: Sequence[int]) -> str:
    return f"({', '.join(map(str, position))})"


def _spelled(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _number(value: float) -> str:
    return f"{value:.6g}"
