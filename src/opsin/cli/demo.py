"""`opsin demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from opsin.training.recipe import Recipe, Settings

DEMOS = {"digits": ("mnist5k", "5,000 real handwritten digits")}


def demo(
    name: Literal["digits"] = "digits",
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
        name: digits: 5,000 real handwritten digits, in about a minute.
        data: other data than the demo's own; anything that `opsin train` takes.
        model: another network than the one that is chosen from the images.
        out: the run folder; by default runs/digits (runs/digits-2 when that exists).
        language: the language in which the report opens.
        json: print one JSON document.
    """
    from opsin.cli.show import document, progress, scores_text
    from opsin.data.load import load_data
    from opsin.reporting.report import report
    from opsin.training.train import free_folder, train

    source, _ = DEMOS[name]
    given = settings.model_dump(include=settings.model_fields_set) if settings else {}
    with progress() as advance:
        images = load_data(data or source, seed=given.get("seed", 0), progress=advance)
    folder = out or free_folder(Path("runs") / (name if data is None else images.name))
    run = train(model, images, Recipe(**given), out=folder)
    if run.status != "finished":
        print(f"stopped; go on with: opsin train --resume --out {run.path}")
        return 0
    page = report(run.path, language=language)
    if json:
        document({"run": run.path, "report": page, "scores": run.scores.as_dict() if run.scores else None})
        return 0
    if run.scores:
        print(scores_text(run.scores))
    print(f"open {page}")
    return 0
