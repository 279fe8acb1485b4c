"""`opsin models`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter


def models(
    *,
    use: Annotated[Literal["embedded", "server"] | None, Parameter(name="--for")] = None,
    classes: int = 10,
    json: bool = False,
) -> int:
    """List networks with parameters, multiply-accumulates and the latency measured on this machine, fastest first.

    Every other network of timm and torchvision is there too: timm/NAME, torchvision/NAME.

    Args:
        use: only networks suited for embedded devices, or for servers.
        classes: outputs that each network is built with.
        json: print one JSON document.
    """
    from opsin.cli.show import document, table
    from opsin.models.catalogue import catalogue

    def advance(name: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[Kmeasuring {done + 1} of {total}: {name}", end="", file=sys.stderr, flush=True)

    rows = catalogue(use, classes=classes, progress=advance)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if json:
        document([vars(row) for row in rows])
        return 0
    cells = [
        (
            row.name,
            f"{row.channels}x{row.size}x{row.size}",
            f"{row.parameters / 1e6:.2f}",
            f"{row.macs / 1e6:,.1f}",
            f"{row.megabytes:.1f}",
            f"{row.milliseconds:.2f}",
            row.note,
        )
        for row in rows
    ]
    print(table(("network", "input", "M param", "M MAC", "MB", "ms", "for"), cells))
    print(f"ms: one image on this machine's processor, {rows[0].threads} threads, median")
    return 0
