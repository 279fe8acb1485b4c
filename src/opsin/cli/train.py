"""`opsin train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from opsin.training.recipe import Settings

if TYPE_CHECKING:
    from opsin.training.run import Run


def train(
    data: str | None = None,
    /,
    *,
    model: str | None = None,
    size: int | None = None,
    out: Path | None = None,
    recipe: Path | None = None,
    resume: bool = False,
    allow_unreadable: bool = False,
    report: bool = False,
    json: bool = False,
    settings: Annotated[Settings | None, Parameter(name="*")] = None,
) -> int:
    """Train a classifier; needs nothing but a folder of images.

    What is not given is chosen from the images, and why is printed.

    Args:
        data: a folder (class/x.jpg or train|val|test/class/x.jpg), a CSV or Parquet manifest, an .npz file, IDX files,
            or a name of `opsin datasets`.
        model: a name of `opsin models`, timm/NAME, torchvision/NAME or my.py:CNN.
        size: side in pixels of the network's input.
        out: the run folder to write; by default runs/NAME.
        recipe: a TOML or JSON file, or a finished run (repeats it); flags win over it.
        resume: go on with a run that was killed or stopped.
        allow_unreadable: train although many files cannot be read.
        report: write the report too.
        json: print one JSON document.
    """
    from opsin.cli.show import document, scores_text

    given = settings.model_dump(include=settings.model_fields_set) if settings else {}
    run = _resume(data, out, given) if resume else _begin(data, model, size, out, recipe, allow_unreadable, given)
    page = _report(run) if report and run.status == "finished" else None
    if json:
        document(
            {
                "run": run.path,
                "status": run.status,
                "scores": run.scores.as_dict() if run.scores else None,
                "report": page,
            }
        )
        return 0
    if run.status == "stopped":
        print(f"stopped; go on with: opsin train --resume --out {run.path}")
        return 0
    if run.scores:
        print(scores_text(run.scores))
    print(page or f"{run.path}   (opsin report {run.path})")
    return 0


def _begin(
    data: str | None,
    model: str | None,
    size: int | None,
    out: Path | None,
    recipe: Path | None,
    allow_unreadable: bool,
    given: dict[str, Any],
) -> Run:
    from opsin.data.load import load_data
    from opsin.errors import OpsinError
    from opsin.training.recipe import Recipe, read_settings
    from opsin.training.run import Run
    from opsin.training.train import rebuild
    from opsin.training.train import train as train_model
    from opsin.training.view import default_view

    settings = {**(read_settings(recipe) if recipe else {}), **given}
    repeated = _run_of(recipe)
    network: Any = model
    if repeated is not None:
        data = data or Run(repeated).info.get("data", {}).get("source", {}).get("source")
        if model is None and size is None:
            network = rebuild(Run(repeated), seed=settings.get("seed"))
    if data is None:
        raise OpsinError("nothing to train on; give a folder of images or a name of opsin datasets")
    view = default_view()
    images = load_data(data, seed=settings.get("seed", 0), allow_unreadable=allow_unreadable, progress=view.work)
    return train_model(network, images, Recipe(**settings), out=out, size=size, view=view)


def _run_of(recipe: Path | None) -> Path | None:
    """The run folder that a recipe comes from, or None for a file of settings alone."""
    if recipe is None:
        return None
    if recipe.is_dir():
        return recipe
    return recipe.parent if recipe.name == "run.json" else None


def _resume(data: str | None, out: Path | None, given: dict[str, Any]) -> Run:
    from opsin.errors import OpsinError
    from opsin.training.run import Run
    from opsin.training.train import resume

    if out is None and data is None:
        raise OpsinError("--resume needs to know which run: give --out RUN, or the data that it was begun with")
    folder = out or _newest(Path("runs"), str(data))
    stored = Run(folder).info.get("recipe", {})
    for name, value in given.items():
        if stored.get(name) != value:
            raise OpsinError(f"{folder} was begun with {name}={stored.get(name)}, not {value}; leave --{name} out")
    return resume(folder)


def _newest(folder: Path, data: str) -> Path:
    """The run of that data that was written to last, an unfinished one before any finished one."""
    from opsin.errors import OpsinError
    from opsin.training.run import Run

    runs = [Run(path.parent) for path in folder.glob("*/run.json")]
    found = [run for run in runs if _same_source(run.info.get("data", {}).get("source", {}).get("source"), data)]
    if not found:
        raise OpsinError(f"no run of {data} in {folder}; give --out RUN")
    return max(found, key=lambda run: (run.status != "finished", (run.path / "run.json").stat().st_mtime)).path


def _same_source(stored: str | None, given: str) -> bool:
    return stored is not None and (stored == given or Path(stored).resolve() == Path(given).resolve())


def _report(run: Run) -> Path:
    from opsin.reporting.report import report

    return report(run.path)
