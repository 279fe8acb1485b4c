"""`opsin studio`."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from opsin.cli.own import Own
from opsin.errors import OpsinError

if TYPE_CHECKING:
    from opsin.studio.runs import Place

RUNS = Path("runs")


def studio(
    what: str | None = None,
    /,
    *,
    port: int | None = None,
    browser: bool | None = None,
    code: list[str] | None = None,
    channels: int | None = None,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    json: bool = False,
) -> int:
    """Look into networks in the browser: what they see, how they learned, and every number's arithmetic.

    Follows trainings that go on, also in folders that do not exist yet. The last line that it prints is the address to
    open; only who has it gets in, and only from this machine. Ctrl-C ends it.

    Args:
        what: a folder of runs (by default runs/), a run, a .safetensors or .onnx file, a network with pretrained
            weights, or my.py:CNN, where --weights, --size and --channels are found out or can be left out.
        port: to listen on, 0 for any; by default the first free one from 8470 on.
        browser: open the address in a browser; by default on a terminal.
        code: a class of your own, my.py:CNN, with which runs in the folder that were trained on it are opened; give it
            several times for several. No other code is run.
        channels: of the input of my.py:CNN; by default those of the first convolution in its weights.
        json: print one JSON document.
    """
    from opsin.cli.show import document
    from opsin.studio.serve import serve

    place = _place(what, code or [], channels, own)

    def ready(address: str, port: int) -> None:
        if json:
            document({"address": address, "port": port, "folder": place.shelf.folder})
        else:
            print(address)
        sys.stdout.flush()

    shown = sys.stdout.isatty() and _has_screen() if browser is None else browser
    serve(place, ready=ready, port=port, browser=shown)
    return 0


def _place(what: str | None, code: list[str], channels: int | None, own: Own) -> Place:
    """What can be opened: the runs of a folder, or one model that was named."""
    from opsin.models.sources.names import is_code
    from opsin.studio.runs import Entry, Place, Shelf, identify

    folder = RUNS if what is None else Path(what)
    if what is None or (folder.is_dir() and not is_code(what)):
        given = [field.name for field in fields(own) if getattr(own, field.name) != field.default]
        if idle := [*given, *(["channels"] if channels is not None else [])]:
            raise OpsinError(f"--{idle[0]} has no effect on runs, which say that themselves; it is for my.py:CNN")
        if strange := [name for name in code if not is_code(name)]:
            raise OpsinError(f"--code {strange[0]} is no class; expected FILE.py:CLASS, as in --code my.py:CNN")
        return Place(Shelf(folder), tuple(code))
    if code:
        raise OpsinError(f"--code {code[0]} has no effect: it is for the runs of a folder, and {what} is none")
    untrained = is_code(what) and own.weights is None
    name = f"{what} (untrained)" if untrained else what
    asked = {**own.arguments(), "model": what, "channels": channels}
    return Place(Shelf(None, Entry(identify(what.encode()), name, "model", "", 0.0, None, asked)))


def _has_screen() -> bool:
    """Whether a browser has a window to open: where none has, Python may start one in the terminal itself."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
