"""How commands show their results: one JSON document, or aligned text."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opsin.files import to_json
from opsin.records import Comparison, Interval, Scores


def document(value: Any) -> None:
    """Print one JSON document, indented by two."""
    sys.stdout.write(to_json(value) + "\n")


def program() -> str:
    """How this program is called here: `opsin`, or with its folder where that is not searched for programs."""
    own = Path(sys.executable).with_name("opsin")
    found = shutil.which("opsin")
    if not own.exists() or (found is not None and Path(found).samefile(own)):
        return "opsin"
    below = os.path.relpath(own)
    return str(own) if below.startswith(os.pardir) else below


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for long work on a terminal, nothing when piped. Told what is done, how many are, and of how many."""
    from opsin.training.view import Live, Quiet

    view = Live() if sys.stderr.isatty() else Quiet()
    try:
        yield view.work
    finally:
        view.end()


@contextmanager
def notes_shown_below() -> Iterator[None]:
    """No warnings of blank or saturated maps inside the block: what it makes carries them as notes, which the command
    shows."""
    from opsin.explanation.guards import MapWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MapWarning)
        yield


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text with aligned columns; numbers to the right."""
    cells = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    numeric = [all(_is_number(row[i]) for row in cells[1:]) and len(cells) > 1 for i in range(len(header))]
    lines = []
    for row in cells:
        parts = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def percent(value: float, interval: Interval | None = None) -> str:
    """`98.6 % [98.2, 98.9]`."""
    text = f"{100 * value:.1f} %"
    return text if interval is None else f"{text} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def scores_text(scores: Scores) -> str:
    """The figures that a person looks for first, then the three worst classes."""
    lines = [f"accuracy      {percent(scores.accuracy, scores.accuracy_interval)}   {scores.images:,} images"]
    lines += [
        f"  {baseline.name:<28}{percent(baseline.accuracy, baseline.interval)}  {baseline.note}".rstrip()
        for baseline in scores.baselines
    ]
    lines.append(f"macro F1      {percent(scores.macro['f1'])}")
    if scores.auroc is not None:
        lines.append(f"AUROC         {scores.auroc:.4f}")
    calibrated = (
        ""
        if scores.ece_calibrated is None
        else f", {100 * scores.ece_calibrated:.1f} % with temperature {scores.temperature:.2f}"
    )
    lines.append(f"calibration   error {100 * scores.ece:.1f} %{calibrated}")
    if scores.excluded:
        lines.append(f"left out      {scores.excluded:,} images that the model was trained or tuned on")
    worst = sorted(scores.per_class, key=lambda row: (row.recall, row.name))[:3]
    lines += [
        "worst classes",
        *(f"  {row.name:<28}recall {percent(row.recall, row.recall_interval)}" for row in worst),
    ]
    lines += [f"note: {note}" for note in scores.notes]
    return "\n".join(lines)


def comparison_text(result: Comparison) -> str:
    """Accuracy of both, the difference, and whether chance explains it."""
    a, b = result.names
    lines = [
        f"{a:<30}{percent(result.accuracy_a)}   {result.images:,} images",
        f"{b:<30}{percent(result.accuracy_b)}",
        f"{'difference':<30}{100 * result.difference:+.1f} points "
        f"[{100 * result.difference_interval.low:+.1f}, {100 * result.difference_interval.high:+.1f}]",
        f"only the first is right {result.only_a}, only the second {result.only_b}, both {result.both_right}, "
        f"neither {result.both_wrong}",
        f"McNemar's exact test: p = {result.p_value:.3g}",
        "the difference is more than chance" if result.p_value < 0.05 else "chance alone explains such a difference",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def _is_number(text: str) -> bool:
    return (bool(text) and text[0] in "0123456789-+.") or text in ("", "-")
