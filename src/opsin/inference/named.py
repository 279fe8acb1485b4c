"""Opening the Classifier that a command line names, with what the name does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.inference.answers import opened
from opsin.models.black_box import open_onnx
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.models.sources.names import is_code
from opsin.models.weights import read_state

MIDDLE = 0.5


def open_named(
    model: str,
    *,
    weights: str | Path | None = None,
    size: int | None = None,
    channels: int | None = None,
    classes: Sequence[str] | None = None,
    mean: float = MIDDLE,
    std: float = MIDDLE,
) -> Classifier:
    """The Classifier of what was given as a model.

    Args:
        model: a run, a `.safetensors` or `.onnx` file, the name of a network with pretrained weights, or `my.py:CNN`.
        weights: a `.safetensors` or `.pth` file of `my.py:CNN`.
        size: side in pixels of the input of `my.py:CNN`, or of an `.onnx` file that does not say it.
        channels: of the input of `my.py:CNN`; by default those of the first convolution in its weights.
        classes: class names in the order of the outputs; by default 0, 1, ... for `my.py:CNN`.
        mean: what is taken from values in 0..1 before they enter `my.py:CNN` or an `.onnx` file.
        std: by what they are then divided.

    Raises:
        OpsinError: nothing can be opened there, or something was given that has no effect, or is missing.
    """
    if is_code(model):
        return _open_own(model, weights, size, channels, classes, mean, std)
    _refuse_idle(model, {"channels": channels})
    if Path(model).suffix == ".onnx":
        return _open_onnx(Path(model), weights, size, classes, mean, std)
    moved = {"mean": None if mean == MIDDLE else mean, "std": None if std == MIDDLE else std}
    _refuse_idle(model, {"size": size, "classes": classes, **moved})
    return opened(model, weights)


def _refuse_idle(model: str, given: dict[str, object]) -> None:
    idle = next((name for name, value in given.items() if value is not None), None)
    if idle is not None:
        kinds = "my.py:CNN" if idle == "channels" else "my.py:CNN and .onnx files"
        raise OpsinError(f"--{idle} has no effect: {model} says that itself; it is for {kinds}")


def _open_own(
    model: str,
    weights: str | Path | None,
    size: int | None,
    channels: int | None,
    classes: Sequence[str] | None,
    mean: float,
    std: float,
) -> Classifier:
    if weights is None or size is None:
        missing = "--weights FILE" if weights is None else "--size PIXELS"
        raise OpsinError(f"{model} is a network without its {missing}; give it, as in --weights cnn.pth --size 28")
    state, _ = read_state(weights)
    names = classes or [str(index) for index in range(outputs_of(state, str(weights)))]
    preprocess = Preprocess.simple(channels=channels or channels_of(state), size=size, mean=mean, std=std)
    return load_model(model, classes=names, preprocess=preprocess, weights=weights)


def _open_onnx(
    path: Path, weights: str | Path | None, size: int | None, classes: Sequence[str] | None, mean: float, std: float
) -> Classifier:
    if weights is not None:
        raise OpsinError(f"--weights has no effect: {path} holds its weights; leave it out")
    found = open_onnx(path, classes)
    sides = found.size if size is None else (size, size)
    if sides is None:
        raise OpsinError(f"{path} takes pictures of any size; give the side that it was trained with: --size 224")
    found.preprocess = Preprocess.simple(channels=found.channels or 3, size=sides, mean=mean, std=std)
    return found


def channels_of(state: Mapping[str, Tensor]) -> int:
    """Channels that the first convolution among a network's tensors reads; 3 where there is none."""
    kernels = [tensor for tensor in state.values() if tensor.ndim == 4]
    return kernels[0].shape[1] if kernels and kernels[0].shape[1] in (1, 2, 3, 4) else 3


def outputs_of(state: Mapping[str, Tensor], name: str) -> int:
    """Outputs of the last linear layer among a network's tensors.

    Raises:
        OpsinError: there is no linear layer; `name` says where.
    """
    matrices = [tensor for tensor in state.values() if tensor.ndim == 2]
    if not matrices:
        raise OpsinError(f"{name} holds no linear layer that says how many classes there are; give --classes a,b,c")
    return matrices[-1].shape[0]
