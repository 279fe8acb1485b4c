"""`opsin train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from opsin.training.recipe import Recipe, Settings


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
    from opsin.training.run import Run

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
    if isinstance(run, Run) and run.scores:
        print(scores_text(run.scores))
    print(page or f"{run.path}   (opsin report {run.path})")
    return 0


def _begin(data, model, size, out, recipe, allow_unreadable, given):
    from opsin.data.load import load_data
    from opsin.errors import OpsinError
    from opsin.files import read_json
    from opsin.training.recipe import read_settings
    from opsin.training.train import train as train_model

    if recipe is not None:
        file = recipe / "run.json" if recipe.is_dir() else recipe
        about = read_json(file) if file.name == "run.json" else {}
        data = data or about.get("data", {}).get("source", {}).get("source")
        model = model or about.get("model", {}).get("name")
        size = size or (about["preprocess"]["height"] if "preprocess" in about else None)
        given = {**read_settings(recipe), **given}
    if data is None:
        raise OpsinError("nothing to train on; give a folder of images or a name of opsin datasets")
    images = load_data(data, seed=given.get("seed", 0), allow_unreadable=allow_unreadable)
    return train_model(model, images, Recipe(**given), out=out, size=size)


def _resume(data, out, given):
    from opsin.errors import OpsinError
    from opsin.training.run import Run
    from opsin.training.train import resume

    if out is None and data is None:
        raise OpsinError("--resume needs to know which run: give --out RUN, or the data that it was begun with")
    folder = out or _newest(Path("runs"), Path(data).name)
    stored = Run(folder).info.get("recipe", {})
    for name, value in given.items():
        if stored.get(name) != value:
            raise OpsinError(f"{folder} was begun with {name}={stored.get(name)}, not {value}; leave --{name} out")
    return resume(folder, view=None)


def _newest(folder: Path, name: str) -> Path:
    """The newest run of that name: NAME, NAME-2 ..."""
    from opsin.errors import OpsinError

    found = [path for path in folder.glob(f"{name}*") if (path / "run.json").exists()]
    if not found:
        raise OpsinError(f"no run of {name} in {folder}; give --out RUN")
    return max(found, key=lambda path: (path / "run.json").stat().st_mtime)


def _report(run):
    from opsin.reporting.report import report

    return report(run.path)
