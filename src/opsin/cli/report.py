"""`opsin report`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def report(
    run: Path, /, *, out: Path | None = None, language: Literal["en", "zh-CN"] = "en", json: bool = False
) -> int:
    """Write a run's report as one HTML file that opens offline.

    Args:
        run: a run folder.
        out: the file to write; by default report.html in the run folder.
        language: the language in which it opens; the page can switch.
        json: print one JSON document.
    """
    from opsin.cli.show import document
    from opsin.reporting.report import report as write

    page = write(run, out=out, language=language)
    if json:
        document({"report": page})
    else:
        print(page)
    return 0
