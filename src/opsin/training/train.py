"""`opsin.train`: from a Classifier (or only a Dataset) and a Recipe to a Run."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from opsin import __version__
from opsin.data.dataset import Dataset
from opsin.data.load import load_data
from opsin.errors import OpsinError
from opsin.files import read_json, write_json
from opsin.models.build import build_model
from opsin.models.classifier import Classifier
from opsin.models.cost import cost
from opsin.training.by_hand import by_hand
from opsin.training.checkpoint import CHECKPOINT, Checkpoint
from opsin.training.choose import Plan, choose, suit_preprocess
from opsin.training.devices import check_amp, resolve_device
from opsin.training.prepare import Prepared, prepare, versions
from opsin.training.recipe import Recipe
from opsin.training.results import write_results
from opsin.training.run import FORMAT, Run
from opsin.training.trainer import Trainer
from opsin.training.view import Quiet, View, default_view


def train(
    model: Classifier | str | None,
    data: Dataset | str | Path,
    recipe: Recipe | None = None,
    *,
    out: str | Path | None = None,
    size: int | None = None,
    resume: bool = False,
    view: View | None = None,
) -> Run:
    """Train a network and leave a run folder behind.

    Args:
        model: a Classifier, which is trained in place; a name for `build_model`; or None: chosen from the images.
        data: a Dataset, or what `load_data` takes.
        recipe: what is asked for. With a Classifier it is taken as it is; otherwise what it leaves open is chosen
            from the images, and the reasons are printed.
        out: the run folder to make; by default `runs/NAME` (`runs/NAME-2` ... when that exists).
        size: side in pixels of the network's input, when the network is built here.
        resume: go on with a run in `out` that was killed or stopped. On a CPU with the same number of threads the
            result is bit-identical to that of an uninterrupted run.
        view: what shows the progress; by default a live view on a terminal and plain lines otherwise.

    Returns:
        The Run. Its status is `stopped` when SIGTERM or Ctrl-C asked for an end before the last epoch.

    Raises:
        OpsinError: the model does not fit the data, the folder exists or cannot be written, or a setting has no
            effect on this device.
        CheckFailed: the loss became NaN; the last good weights are kept.
    """
    view = view or default_view()
    try:
        images = data if isinstance(data, Dataset) else load_data(data, progress=view.work)
        classifier, recipe, reasons = _resolve(model, images, recipe, size, view)
        _check_fit(classifier, images)
        folder = Path(out) if out is not None else free_folder(Path("runs") / images.name)
        device = resolve_device("cpu" if recipe.engine == "scratch" and recipe.device == "auto" else recipe.device)
        if recipe.engine == "scratch" and device.type != "cpu":
            raise OpsinError(f"device={recipe.device} cannot be used with engine=scratch, which is NumPy: leave it out")
        if recipe.amp:
            check_amp(device)
        _place(classifier.module, device, recipe)
        checkpoint = _open_folder(folder, resume, classifier, images, recipe)
        if checkpoint is None and resume and Run(folder).status == "finished":
            view.message(f"{folder} is finished: nothing to resume")
            return Run(folder)
        with by_hand(classifier.module) if recipe.engine == "scratch" else contextlib.nullcontext():
            return _run(classifier, images, recipe, folder, checkpoint, reasons, view)
    finally:
        view.end()


def resume(run: str | Path, *, view: View | None = None) -> Run:
    """Go on with a run that was killed or stopped, from what its folder says: data, network and recipe.

    Raises:
        OpsinError: the folder holds no run, its data is gone or changed, or its network was a Python object (then
            call `train(model, data, recipe, out=..., resume=True)`).
    """
    opened = Run(run)
    about = opened.info["model"]
    if not about.get("name"):
        raise OpsinError(
            f"{run} trained a Python object; build it again and call opsin.train(..., out=..., resume=True)"
        )
    if opened.status == "finished":
        (view or Quiet()).message(f"{opened.path} is finished: nothing to resume")
        return opened
    recipe = Recipe.load(opened.path)
    return train(rebuild(opened), opened.dataset(), recipe, out=opened.path, resume=True, view=view)


def rebuild(run: Run, seed: int | None = None) -> Classifier:
    """The untrained network of a run, with the initial weights that it started from, or with those of another seed."""
    about = run.info["model"]
    return build_model(
        about["name"],
        classes=run.classes,
        channels=about["channels"],
        size=tuple(about["size"]),
        pretrained=about.get("pretrained", False),
        preprocess=run.preprocess,
        seed=run.info["seed"] if seed is None else seed,
        options=about.get("options") or {},
    )


def free_folder(wanted: Path) -> Path:
    """`wanted`, or the first of `wanted-2`, `wanted-3` ... that does not exist."""
    if not wanted.exists():
        return wanted
    return next(path for i in itertools.count(2) if not (path := wanted.with_name(f"{wanted.name}-{i}")).exists())


def _resolve(
    model: Classifier | str | None, data: Dataset, recipe: Recipe | None, size: int | None, view: View
) -> tuple[Classifier, Recipe, tuple[str, ...]]:
    if isinstance(model, Classifier):
        if size is not None:
            raise OpsinError("size has no effect with a Classifier, whose Preprocess says it; give one or the other")
        if recipe is not None:
            return model, recipe, ()
        plan = choose(data, None, model.name or "given")
        return (
            model,
            plan.recipe.replace(trunk="train") if plan.recipe.trunk == "frozen" else plan.recipe,
            plan.reasons,
        )
    plan = choose(data, recipe, model, size)
    for reason in plan.reasons:
        view.message(reason)
    return _build_planned(plan, data, view), plan.recipe, plan.reasons


def _build_planned(plan: Plan, data: Dataset, view: View) -> Classifier:
    """The network of a plan, with initial weights that depend on the recipe's seed alone."""
    return build_model(
        plan.model,
        classes=data.classes,
        channels=plan.channels,
        size=plan.size,
        pretrained=plan.pretrained,
        preprocess=None
        if plan.pretrained
        else suit_preprocess(data, plan.size, plan.channels, _decoding(view), view.message),
        seed=plan.recipe.seed,
        options=plan.options,
    )


def _decoding(view: View) -> Callable[[int, int], None]:
    return lambda done, total: view.work("decoding images", done, total)


def _check_fit(model: Classifier, data: Dataset) -> None:
    if model.preprocess is None:
        raise OpsinError(
            "this Classifier has no Preprocess, so it cannot read pictures; give Classifier(..., preprocess=...)"
        )
    if model.classes is None or tuple(model.classes) != tuple(data.classes):
        raise OpsinError(
            f"the model's classes {_few(model.classes)} are not the data's {_few(data.classes)}, in the same order; "
            "build the model with classes=data.classes"
        )
    if not len(data.train):
        raise OpsinError(f"{data.name} has no training images; check its splits")


def _few(names: Any) -> str:
    names = list(names or ())
    return f"({len(names)}: {', '.join(map(str, names[:4]))}{', ...' if len(names) > 4 else ''})"


def _place(module: nn.Module, device: torch.device, recipe: Recipe) -> None:
    module.to(device)
    if recipe.channels_last and recipe.engine == "torch":
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.dropout is not None:
        layers = [part for part in module.modules() if isinstance(part, nn.modules.dropout._DropoutNd)]
        if not layers:
            raise OpsinError(f"dropout={recipe.dropout} has no effect: the network has no dropout layer; leave it out")
        for part in layers:
            part.p = recipe.dropout


def _open_folder(folder: Path, resuming: bool, model: Classifier, data: Dataset, recipe: Recipe) -> Checkpoint | None:
    exists = folder.exists() and any(folder.iterdir()) if folder.is_dir() or not folder.exists() else True
    if not resuming:
        if exists:
            raise OpsinError(f"{folder} exists; choose another --out, or give --resume to go on with the run in it")
        return None
    if not (folder / "run.json").exists():
        raise OpsinError(f"{folder} holds no run to resume; leave --resume out to begin one")
    info = read_json(folder / "run.json")
    if info["status"] == "finished":
        return None
    for what, ours, theirs in (
        ("recipe", recipe.in_effect(), info["recipe"]),
        ("classes", list(data.classes), info["classes"]),
        ("data", data.fingerprint, info["data"]["fingerprint"]),
        ("network", model.architecture().get("name"), info["model"].get("name")),
    ):
        if ours != theirs:
            raise OpsinError(f"{folder} was begun with another {what}; resume it with what it was begun with")
    for torn in folder.rglob(".*.tmp"):  # what a kill left between writing and renaming
        torn.unlink()
    # A run that was killed before its first checkpoint simply begins again.
    return Checkpoint.load(folder) if (folder / CHECKPOINT).exists() else None


def _run(
    model: Classifier, data: Dataset, recipe: Recipe, out: Path, checkpoint: Checkpoint | None,
    reasons: tuple[str, ...], view: View,
) -> Run:  # fmt: skip
    began = time.perf_counter()
    if checkpoint is None:
        _announce(data, recipe, view)
    prepared = prepare(model, data, recipe, out, view)
    info = read_json(out / "run.json") if checkpoint else _describe(model, data, recipe, reasons, prepared)
    write_json(out / "run.json", {**info, "status": "running"})
    model.origin = out
    if checkpoint is None:
        prepared.write_fixed(out)
        data.write_splits(out / "splits.parquet")
        for name in ("steps.jsonl", "epochs.jsonl"):
            (out / name).unlink(missing_ok=True)
    trainer = Trainer(model, prepared.phases, recipe, out, prepared.recorder, view)
    view.begin(sum(phase.epochs for phase in prepared.phases), checkpoint.values["epoch"] if checkpoint else 0)
    status = _guarded(lambda: trainer.fit(checkpoint), out, info)
    spent = info.get("seconds", 0.0) + time.perf_counter() - began
    if status == "finished":
        write_results(model, data, recipe, out, view)
    write_json(out / "run.json", {**info, "status": status, "seconds": round(spent, 1)})
    return Run(out)


def _guarded(fit: Callable[[], str], out: Path, info: dict[str, Any]) -> str:
    """Run the training; a failure is noted in `run.json` before it is raised."""
    try:
        return fit()
    except Exception as error:
        write_json(out / "run.json", {**info, "status": "failed", "error": str(error)})
        raise


def _announce(data: Dataset, recipe: Recipe, view: View) -> None:
    view.message(repr(data).strip("<>"))
    for note in data.notes:
        view.message(f"note: {note}")
    settings = recipe.in_effect()
    view.message(
        "recipe: " + "  ".join(f"{name}={value}" for name, value in settings.items() if value not in (False, 0))
    )


def _describe(
    model: Classifier, data: Dataset, recipe: Recipe, reasons: tuple[str, ...], prepared: Prepared
) -> dict[str, Any]:
    assert model.preprocess is not None
    shape = (model.preprocess.channels, model.preprocess.height, model.preprocess.width)
    spent = cost(model.module, shape)
    sizes = data.sizes
    return {
        "opsin": __version__,
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "running",
        "seed": recipe.seed,
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "model": {**model.architecture(), "parameters": spent.parameters, "macs": spent.macs},
        "classes": list(data.classes),
        "preprocess": model.preprocess.model_dump(mode="json"),
        "recipe": recipe.in_effect(),
        "choices": list(reasons),
        "data": {
            "name": data.name,
            "source": data.source,
            "fingerprint": data.fingerprint,
            "images": len(data.labels),
            "counts": data.counts(),
            "unreadable": [item._asdict() for item in data.unreadable],
            "notes": list(data.notes),
            "duplicates": [vars(pair) for pair in prepared.duplicates],
            "sizes": {
                "median": [int(v) for v in sorted(map(tuple, sizes.tolist()))[len(sizes) // 2]],
                "min": sizes.min(axis=0).tolist(),
                "max": sizes.max(axis=0).tolist(),
            },
        },
        "probe": prepared.probe_entry,
        "layers": prepared.layer_entries,
    }
