"""How records show themselves in a notebook: text, HTML that stands by itself, and for a run its views."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from opsin.errors import OpsinError
from opsin.records import Evidence, Explanation, Scores, Trace
from opsin.records.evidence import NOT_CHECKED
from opsin.reporting.notebook.show import MISSING, has_widgets, show
from opsin.reporting.pictures.sheet import contact_sheet
from opsin.training.run import Run

SHOWN_IMAGES, SHOWN_TERMS, SHOWN_CLASSES = 12, 12, 20


def bundle(thing: Any) -> dict[str, Any]:
    """What a notebook is given to show of a record or a run, by MIME type.

    Names of classes, files and layers can hold any text, and are text.
    """
    text, html = next((made for kind, made in SHOWN.items() if isinstance(thing, kind)))
    found: dict[str, Any] = {"text/plain": text(thing)}
    if not in_notebook():
        return found
    found["text/html"] = str(html(thing))
    if isinstance(thing, Run):
        found |= _views(thing)
    return found


def in_notebook() -> bool:
    """Whether a kernel runs this: IPython in a terminal shows text alone."""
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()  # type: ignore[attr-defined]
    return getattr(running, "kernel", None) is not None


def _views(run: Run) -> dict[str, Any]:
    if not has_widgets():
        return {"text/html": str(run_html(run) + Markup("<p>{}</p>").format(MISSING))}
    try:
        found = show(run)._repr_mimebundle_()
    except OpsinError as error:  # nothing can be opened: the HTML says what is known all the same
        return {"text/html": str(run_html(run) + Markup("<p>{}</p>").format(str(error)))}
    shown = found[0] if isinstance(found, tuple) else found
    return {key: value for key, value in (shown or {}).items() if key != "text/plain"}


def explanation_text(record: Explanation) -> str:
    """One line."""
    return f"{_head(record)}: {NOT_CHECKED}"


def explanation_html(record: Explanation) -> Markup:
    """The maps on their pictures, with the badge of maps that nobody has checked."""
    out = io.BytesIO()
    contact_sheet(record, limit=SHOWN_IMAGES).save(out, "PNG", optimize=True)
    data = base64.b64encode(out.getvalue()).decode("ascii")
    return Markup('<img alt="{}" style="max-width:100%" src="data:image/png;base64,{}">').format(
        explanation_text(record), data
    )


def evidence_text(record: Evidence) -> str:
    """The table that the command line prints."""
    return record.text()


def evidence_html(record: Evidence) -> Markup:
    """The verdict, why, and every measure beside its controls."""
    rows = [
        (name, f"{one.mean:.3f}", f"[{one.interval.low:.3f}, {one.interval.high:.3f}]", *_beside(one), one.better)
        for name, one in record.measures.items()
    ]
    where = f" at {record.layer}" if record.layer else ""
    head = f"{record.method}{where} of {record.model}, {len(record.names):,} images"
    parts = [Markup("<p><b>{}</b><br>{}</p>").format(record.verdict, head), _list(record.reasons)]
    parts.append(_table(("measure", "value", "95 % interval", "random", "edges", "better"), rows))
    parts.append(_list([f"not measured: {name}: {reason}" for name, reason in record.skipped.items()]))
    return Markup("").join([*parts, _list(record.notes)])


def scores_text(record: Scores) -> str:
    """One line."""
    low, high = record.accuracy_interval
    return (
        f"Scores: accuracy {record.accuracy:.1%} [{low:.1%}, {high:.1%}] on {record.images:,} images, "
        f"macro F1 {record.macro['f1']:.3f}, ECE {record.ece:.3f}"
    )


def scores_html(record: Scores) -> Markup:
    """The line, the classes that are recognised worst, and what they are taken for."""
    worst = sorted(record.per_class, key=lambda row: row.recall)[:SHOWN_CLASSES]
    rows = [
        (row.name, f"{row.support:,}", f"{row.recall:.1%}", f"{row.precision:.1%}", f"{row.f1:.3f}") for row in worst
    ]
    parts = [Markup("<p>{}</p>").format(scores_text(record))]
    parts.append(_table(("class", "images", "recall", "precision", "F1"), rows))
    if len(worst) < len(record.per_class):
        parts.append(Markup("<p>{:,} more classes</p>").format(len(record.per_class) - len(worst)))
    return Markup("").join([*parts, _confused(record), _list(record.notes)])


def _confused(record: Scores) -> Markup:
    """The most frequent mistakes."""
    wrong = record.confusion * (1 - np.eye(len(record.confusion), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:5]
    pairs = [np.unravel_index(int(place), wrong.shape) for place in order if wrong.flat[place]]
    rows = [(record.classes[truth], record.classes[said], f"{wrong[truth, said]:,}") for truth, said in pairs]
    return _table(("true class", "answered", "images"), rows) if rows else Markup("")


def trace_text(record: Trace) -> str:
    """The sum, and its largest terms."""
    lines = [_equation(record)]
    lines += [f"  {_term(term)}" for term in record.largest(SHOWN_TERMS)]
    left = len(record) - SHOWN_TERMS
    return "\n".join([*lines, *([f"  and {left:,} smaller terms"] if left > 0 else [])])


def trace_html(record: Trace) -> Markup:
    """The sum, and its largest terms as a table."""
    terms = record.largest(SHOWN_TERMS)
    rows = [
        (term.layer, _place(term.position), f"{term.input:.6g}", _weight(term.weight), f"{term.product:.6g}")
        for term in terms
    ]
    parts = [Markup("<p><code>{}</code></p>").format(_equation(record))]
    if record.formula:
        parts.append(Markup("<p>{}</p>").format(record.formula))
    if rows:
        parts.append(_table(("layer", "position", "input", "weight", "product"), rows))
    if len(record) > len(terms):
        parts.append(Markup("<p>and {:,} smaller terms</p>").format(len(record) - len(terms)))
    return Markup("").join(parts)


def run_text(run: Run) -> str:
    """One line."""
    return repr(run)


def run_html(run: Run) -> Markup:
    """What the run is, for where its views cannot be shown."""
    scores = run.scores
    rows = [("run", run.name), ("status", run.status), ("classes", f"{len(run.classes):,}")]
    rows += [] if scores is None else [("test", scores_text(scores))]
    return _table(("", ""), [*rows, ("folder", run.path.as_posix())])


SHOWN: Mapping[type, tuple[Callable[[Any], str], Callable[[Any], Markup]]] = {
    Explanation: (explanation_text, explanation_html),
    Evidence: (evidence_text, evidence_html),
    Scores: (scores_text, scores_html),
    Trace: (trace_text, trace_html),
    Run: (run_text, run_html),
}


def _head(record: Explanation) -> str:
    where = f" at {record.layer}" if record.layer else ""
    return f"Explanation: {record.method}{where}, {len(record):,} {'image' if len(record) == 1 else 'images'}"


def _beside(measure: Any) -> list[str]:
    return [f"{measure.controls[key].mean:.3f}" if key in measure.controls else "" for key in ("random", "edge")]


def _equation(record: Trace) -> str:
    path = f"{record.layer}[{_place(record.unit)}] = {record.value:.6g} ({record.operation})"
    if not record.opens:
        return f"{path}: {record.note}"
    bias = f", bias {record.bias:.6g}" if record.bias else ""
    return f"{path}: {len(record):,} products{bias}, sum {record.total:.9g}"


def _term(term: Any) -> str:
    times = "" if np.isnan(term.weight) else f" × {term.weight:.6g} = {term.product:.6g}"
    return f"{term.layer}[{_place(term.position)}] {term.input:.6g}{times}"


def _place(position: tuple[int, ...]) -> str:
    return ", ".join(map(str, position))


def _weight(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Markup:
    titles = Markup("").join(Markup("<th>{}</th>").format(name) for name in head)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    top = Markup("<thead><tr>{}</tr></thead>").format(titles) if any(head) else Markup("")
    return Markup("<table>{}<tbody>{}</tbody></table>").format(top, body)


def _list(lines: Any) -> Markup:
    items = Markup("").join(Markup("<li>{}</li>").format(line) for line in lines)
    return Markup("<ul>{}</ul>").format(items) if items else Markup("")
