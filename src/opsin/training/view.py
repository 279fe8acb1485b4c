"""What a person sees while a network learns: a live view on a terminal, plain lines when piped, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class View(Protocol):
    """Receives what happens. Every call is cheap."""

    def begin(self, epochs: int, epoch: int) -> None:
        """Training starts (or goes on) after `epoch` finished epochs of `epochs`."""
        ...

    def message(self, text: str) -> None:
        """Something worth a line: a choice, a warning, an alarm."""
        ...

    def work(self, what: str, done: int, total: int) -> None:
        """Progress of work before training: decoding images, computing features."""
        ...

    def step(self, epoch: int, batch: int, batches: int, loss: float, images: int) -> None:
        """One optimiser step is done."""
        ...

    def epoch(self, line: Mapping[str, Any]) -> None:
        """One epoch is done; `line` is what `epochs.jsonl` holds of it."""
        ...

    def end(self) -> None:
        """Nothing more will come."""
        ...


class Quiet:
    """Shows nothing."""

    def begin(self, epochs: int, epoch: int) -> None:
        """See `View`."""

    def message(self, text: str) -> None:
        """See `View`."""

    def work(self, what: str, done: int, total: int) -> None:
        """See `View`."""

    def step(self, epoch: int, batch: int, batches: int, loss: float, images: int) -> None:
        """See `View`."""

    def epoch(self, line: Mapping[str, Any]) -> None:
        """See `View`."""

    def end(self) -> None:
        """See `View`."""


class Lines(Quiet):
    """One plain line per message and epoch, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._epochs = 0

    def begin(self, epochs: int, epoch: int) -> None:
        """See `View`."""
        self._epochs = epochs
        if epoch:
            self.message(f"going on after epoch {epoch} of {epochs}")

    def message(self, text: str) -> None:
        """See `View`."""
        print(text, file=self._stream, flush=True)

    def work(self, what: str, done: int, total: int) -> None:
        """See `View`; only the end is worth a line."""
        if done == total:
            self.message(f"{what}: {total:,}")

    def epoch(self, line: Mapping[str, Any]) -> None:
        """See `View`."""
        self.message(epoch_text(line, self._epochs))
        for alarm in line.get("alarms", ()):
            self.message(f"  alarm: {alarm['message']}")


class Live:
    """A progress bar with loss, accuracy, images per second and remaining time; finished epochs stay above it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
        )
        self._task: Any = None
        self._what = ""
        self._epochs = 0
        self._loss: float | None = None
        self._accuracy = ""
        self._seen, self._clock = 0, time.perf_counter()
        self._drawn = 0.0

    def begin(self, epochs: int, epoch: int) -> None:
        """See `View`."""
        self._epochs = epochs
        self._start("training", epochs)
        self._bar.update(self._task, completed=epoch)
        self._seen, self._clock = 0, time.perf_counter()

    def message(self, text: str) -> None:
        """See `View`."""
        self._console.print(text, highlight=False, markup=False)

    def work(self, what: str, done: int, total: int) -> None:
        """See `View`."""
        if what != self._what:
            self._start(what, total)
        self._bar.update(self._task, completed=done, note=f"{done:,} of {total:,}")

    def step(self, epoch: int, batch: int, batches: int, loss: float, images: int) -> None:
        """See `View`; drawn ten times a second at most."""
        self._seen += images
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        now = time.perf_counter()
        if now - self._drawn < 0.1:
            return
        self._drawn = now
        rate = self._seen / max(now - self._clock, 1e-9)
        note = f"epoch {epoch + 1}/{self._epochs}  loss {self._loss:.3f}{self._accuracy}  {rate:,.0f} images/s"
        self._bar.update(self._task, completed=epoch + batch / batches, note=note)

    def epoch(self, line: Mapping[str, Any]) -> None:
        """See `View`."""
        if "accuracy" in line:
            self._accuracy = f"  accuracy {line['accuracy']:.1%}"
        self.message(epoch_text(line, self._epochs))
        for alarm in line.get("alarms", ()):
            self._console.print(f"  alarm: {alarm['message']}", style="yellow", highlight=False, markup=False)

    def end(self) -> None:
        """See `View`."""
        self._bar.stop()

    def _start(self, what: str, total: int) -> None:
        self._what = what
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total, note="")
        self._bar.start()


def epoch_text(line: Mapping[str, Any], epochs: int) -> str:
    """One epoch as an aligned line of text."""
    parts = [f"epoch {line['epoch']:>{len(str(epochs))}}/{epochs}", f"train loss {line['train_loss']:.4f}"]
    if "accuracy" in line:
        parts += [f"validation loss {line['loss']:.4f}", f"accuracy {line['accuracy']:6.2%}"]
    return "  ".join([*parts, f"{line['seconds']:.1f} s"])


def default_view() -> View:
    """The live view on a terminal, plain lines otherwise."""
    console = Console(stderr=True)
    return Live(console) if console.is_terminal else Lines()
