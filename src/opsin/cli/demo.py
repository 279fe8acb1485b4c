"""`opsin demo`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from opsin.cli.demos.asked import Asked
from opsin.training.recipe import Settings

# Each name is a module of opsin.cli.demos, which is imported when it is asked for.
Name = Literal["digits", "photos", "shortcut"]


def demo(
    name: Name = "digits",
    /,
    *,
    data: str | None = None,
    model: str | None = None,
    out: Path | None = None,
    language: Literal["en", "zh-CN"] = "en",
    json: bool = False,
    settings: Annotated[Settings | None, Parameter(name="*")] = None,
) -> int:
    """Train on packaged images, score, write the report, and say what to open.

    Args:
        name: digits: 5,000 real handwritten digits, in about a minute; photos: what ImageNet's weights see in
            photographs, by six methods with their evidence, in about four minutes; shortcut: a mark is planted on the
            images of one class, and found, in about two minutes.
        data: other data than the demo's own; anything that `opsin train` takes.
        model: another network than the one that is chosen from the images.
        out: the folder to write; by default runs/NAME (runs/NAME-2 when that exists).
        language: the language in which the report opens.
        json: print one JSON document.
    """
    given = settings.model_dump(include=settings.model_fields_set) if settings else {}
    return import_module(f"opsin.cli.demos.{name}").run(Asked(name, data, model, out, language, json, given))
