"""Opening a Classifier: a run folder, a weights file, a name with weights, or a module that exists."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.files import read_json
from opsin.models.black_box import open_onnx
from opsin.models.build import build_model, class_names, rebuild
from opsin.models.classifier import FORMAT, Classifier
from opsin.models.sources.names import is_code
from opsin.models.weights import load_weights, read_metadata

PYTORCH = (".pth", ".pt", ".ckpt", ".bin")
RUN_WEIGHTS = ("best", "last")


@dataclass(frozen=True)
class _Described:
    """What a run or a file says about the Classifier that it holds."""

    architecture: Mapping[str, Any]
    classes: tuple[str, ...] | None
    preprocess: Preprocess | None


def load_model(
    source: str | Path | nn.Module,
    *,
    module: nn.Module | str | Callable[..., Any] | None = None,
    classes: Sequence[str] | int | None = None,
    preprocess: Preprocess | None = None,
    weights: str | Path | None = None,
) -> Classifier:
    """Open a Classifier.

    Args:
        source: a run folder; a `.safetensors` file that `Classifier.save` wrote; the weights file
            (`.safetensors`, `.pth`) of `module`; an `.onnx` file, of which only the scores are known; a name that
            `build_model` takes, such as `my.py:CNN`; or a module.
        module: the network for weights that do not say which they belong to: a module, a class, or a name.
        classes: class names in order; they must equal those stored beside the weights. For a name that is
            built: names or number.
        preprocess: replaces the one stored beside the weights.
        weights: a weights file; for a run folder also `"last"` instead of the best.

    Returns:
        The Classifier in evaluation mode.

    Raises:
        OpsinError: nothing is there, the file is damaged, the weights do not fit, or the classes are others
            or in another order.
    """
    if isinstance(source, nn.Module):
        named = None if classes is None or isinstance(classes, int) else classes
        return _finish(Classifier(source, named, preprocess), weights)
    path = Path(source)
    if path.is_dir():
        return _from_run(path, module, classes, preprocess, weights)
    if path.suffix == ".onnx":
        return _from_onnx(path, module, classes, preprocess, weights)
    if path.suffix == ".safetensors" or path.suffix in PYTORCH:
        if weights is not None:
            raise OpsinError(f"{path} is a weights file and weights={weights} is another; give one of them")
        return _from_file(path, module, classes, preprocess)
    text = str(source)
    if not is_code(text) and (path.suffix == ".py" or path.exists()):
        advice = f"name its class: {path}:CLASS" if path.suffix == ".py" else "give a run folder or a weights file"
        raise OpsinError(f"{path} is neither a run folder nor a weights file; {advice}")
    try:
        return _finish(build_model(text, classes, preprocess=preprocess), weights)
    except OpsinError as error:
        if str(error).startswith("there is no network"):
            raise OpsinError(
                f"there is no run, file or network called {text}; give the path of a run folder"
            ) from error
        raise


def _from_run(
    folder: Path,
    module: nn.Module | str | Callable[..., Any] | None,
    classes: Sequence[str] | int | None,
    preprocess: Preprocess | None,
    weights: str | Path | None,
) -> Classifier:
    if not (folder / "run.json").is_file():
        raise OpsinError(f"{folder} is not a run: it has no run.json; give the folder that training wrote")
    info = read_json(folder / "run.json")
    if not isinstance(info, dict):
        raise OpsinError(f"{folder / 'run.json'} is not a run's description; it may have been edited")
    described = _described(
        {
            "architecture": info.get("model"),
            "classes": info.get("classes"),
            "preprocess": info.get("preprocess"),
        },
        folder / "run.json",
    )
    path = _run_weights(folder, weights)
    if path.suffix == ".safetensors" and "opsin" in (metadata := read_metadata(path)):
        stored = _described(_parsed(metadata["opsin"], path), path)
        _require_same(described.classes, stored.classes, "run.json", str(path))
    return _assemble(described, path, folder, module, classes, preprocess)


def _run_weights(folder: Path, weights: str | Path | None) -> Path:
    if weights is not None and str(weights) not in RUN_WEIGHTS:
        return Path(weights)
    wanted = RUN_WEIGHTS if weights is None else (str(weights),)
    for name in wanted:
        path = folder / "weights" / f"{name}.safetensors"
        if path.is_file():
            return path
    raise OpsinError(
        f"the run {folder} has no weights/{wanted[0]}.safetensors yet; wait for its first epoch or train again"
    )


def _from_file(
    path: Path,
    module: nn.Module | str | Callable[..., Any] | None,
    classes: Sequence[str] | int | None,
    preprocess: Preprocess | None,
) -> Classifier:
    metadata = read_metadata(path) if path.suffix == ".safetensors" and path.is_file() else {}
    if "opsin" in metadata:
        described = _described(_parsed(metadata["opsin"], path), path)
        return _assemble(described, path, path, module, classes, preprocess)
    if not path.is_file():
        raise OpsinError(f"there is no weights file {path}; give the path of a .safetensors or .pth file")
    if module is None:
        raise OpsinError(
            f"{path} does not say which network it belongs to; give it: load_model({path.name!r}, "
            "module=my_network) or "
            f'load_model("my.py:CNN", weights={path.name!r})'
        )
    if not isinstance(module, nn.Module):
        return _finish(build_model(module, classes, preprocess=preprocess), path)
    named = None if classes is None or isinstance(classes, int) else classes
    return _finish(Classifier(module, named, preprocess, origin=path), path)


def _from_onnx(
    path: Path,
    module: nn.Module | str | Callable[..., Any] | None,
    classes: Sequence[str] | int | None,
    preprocess: Preprocess | None,
    weights: str | Path | None,
) -> Classifier:
    number = classes if isinstance(classes, int) else None
    for name, value in {"module": module, "weights": weights, "the number of classes": number}.items():
        if value is not None:
            raise OpsinError(f"{name} was given for {path}, an ONNX file, which says that itself; leave it out")
    named = None if classes is None or isinstance(classes, int) else class_names(classes)
    return open_onnx(path, named, preprocess)


def _assemble(
    described: _Described,
    weights: Path,
    origin: Path,
    module: nn.Module | str | Callable[..., Any] | None,
    classes: Sequence[str] | int | None,
    preprocess: Preprocess | None,
) -> Classifier:
    """Build the described network (or take the given one), fill it with the weights and give it its classes."""
    given = None if classes is None or isinstance(classes, int) else class_names(classes)
    if isinstance(classes, int) and described.classes is not None and classes != len(described.classes):
        raise OpsinError(f"classes={classes} was given, but {origin} has {len(described.classes)}; leave classes out")
    _require_same(given, described.classes, "the given classes", str(origin))
    names = described.classes or given
    preprocess = preprocess or described.preprocess
    known = ("name", "classes", "type")
    options = {key: value for key, value in described.architecture.items() if key not in known}
    name = described.architecture.get("name")
    if isinstance(module, nn.Module):
        network = module
    else:
        architecture = (
            {**described.architecture, "name": module} if module else _located(described.architecture, origin)
        )
        built = rebuild(architecture, names, preprocess)
        network, name = built.module, built.name if module else name
        options |= {key: value for key, value in built.options.items() if key == "source"}
    model = Classifier(network, names, preprocess, name=name, options=options, origin=origin)
    return _finish(model, weights)


def _located(architecture: Mapping[str, Any], origin: Path) -> Mapping[str, Any]:
    """The description with the place of a person's own class, where it may be run.

    A run or a weights file may come from somebody else, so the code that it names is run only when it lies in
    the folder in which Python was started, and never from inside the run itself.
    """
    name = architecture.get("name")
    if not isinstance(name, str) or not is_code(name):
        return architecture
    where, _, attribute = name.rpartition(":")
    if not where.endswith(".py"):
        raise OpsinError(
            f"{origin} holds weights of {name}, code of its own, which is not run unasked; if you trust it: "
            f"load_model(..., module={name!r})"
        )
    here, home = Path.cwd().resolve(), (origin if origin.is_dir() else origin.parent).resolve()
    for candidate in (Path(where), Path(str(architecture.get("source") or where))):
        file = candidate.resolve()
        trusted = file.is_relative_to(here) and (home == here or not file.is_relative_to(home))
        if file.is_file() and trusted:
            return {**architecture, "name": f"{file}:{attribute}"}
    raise OpsinError(
        f"{origin} holds weights of {name}, which is not in the current folder and is not run from "
        "elsewhere; if you trust it: "
        f'load_model(..., module="{where}:{attribute}")'
    )


def _finish(model: Classifier, weights: str | Path | None) -> Classifier:
    if weights is not None:
        load_weights(model.module, weights)
    model.module.eval()
    return model


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise OpsinError(f"the description in {path} is not JSON ({error}); the file may have been edited") from error


def _described(found: Any, path: Path) -> _Described:
    if not isinstance(found, dict) or not isinstance(found.get("architecture"), dict):
        raise OpsinError(f"{path} does not describe a network; it may have been edited or cut off")
    if int(found.get("format", FORMAT)) > FORMAT:
        raise OpsinError(f"{path} has format {found['format']} and this version reads {FORMAT}; install a newer Opsin")
    try:
        preprocess = None if found.get("preprocess") is None else Preprocess.load(found["preprocess"])
    except OpsinError as error:
        raise OpsinError(f"the Preprocess in {path} is not valid: {error}; the file may have been edited") from error
    classes = found.get("classes")
    return _Described(found["architecture"], None if classes is None else class_names(classes), preprocess)


def _require_same(ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None, our_name: str, their_name: str) -> None:
    """Refuse class lists that differ: every answer would carry the wrong name.

    Raises:
        OpsinError: says whether only the order differs, and where first.
    """
    if ours is None or theirs is None or ours == theirs:
        return
    if sorted(ours) == sorted(theirs):
        place = next(index for index, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
        raise OpsinError(
            f"the classes of {our_name} are in another order than in {their_name}: number {place} is "
            f"{ours[place]!r} and {theirs[place]!r}; keep the stored order"
        )
    extra, lacking = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
    raise OpsinError(
        f"the classes of {our_name} are not those of {their_name}: {len(ours)} against {len(theirs)}, "
        f"only in the first {extra[:3]}, only in the second {lacking[:3]}; leave classes out to take the "
        "stored ones"
    )
