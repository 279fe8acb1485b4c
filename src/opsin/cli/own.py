"""The flags with which a person's own network is opened on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.errors import OpsinError

if TYPE_CHECKING:
    from opsin.data.preprocess import Preprocess
    from opsin.models.classifier import Classifier


@dataclass(frozen=True)
class Own:
    """What a run or a bundle says by itself, and a person's own class does not.

    Attributes:
        weights: .safetensors or .pth file of the network my.py:CNN.
        size: side in pixels of the input of my.py:CNN, or of an .onnx file that does not say it.
        classes: its class names, separated by commas, in the order of its outputs; 0, 1, ... by default.
        mean: what is taken from values in 0..1 before they enter my.py:CNN or an .onnx file.
        std: by what they are then divided.
    """

    weights: Path | None = None
    size: int | None = None
    classes: str | None = None
    mean: float = 0.5
    std: float = 0.5

    def open(self, model: str) -> Classifier:
        """The Classifier of what was given as a model.

        Raises:
            OpsinError: a flag has no effect, or is missing.
        """
        from opsin.inference.answers import opened
        from opsin.models.sources.own_code import is_code

        if is_code(model):
            return self._open_own(model)
        if Path(model).suffix == ".onnx":
            return self._open_onnx(Path(model))
        given = [name for name in ("size", "classes") if getattr(self, name) is not None]
        given += [name for name in ("mean", "std") if getattr(self, name) != 0.5]
        if given:
            raise OpsinError(
                f"--{given[0]} has no effect: {model} says that itself; it is for my.py:CNN and .onnx files"
            )
        return opened(model, self.weights)

    def _open_own(self, model: str) -> Classifier:
        from opsin.models.load import load_model

        if self.weights is None or self.size is None:
            missing = "--weights FILE" if self.weights is None else "--size PIXELS"
            raise OpsinError(f"{model} is a network without its {missing}; give it, as in --weights cnn.pth --size 28")
        channels, outputs = _shape_of(self.weights)
        names = self.classes.split(",") if self.classes else [str(index) for index in range(outputs)]
        return load_model(model, classes=names, preprocess=self._preprocess(channels, self.size), weights=self.weights)

    def _open_onnx(self, path: Path) -> Classifier:
        from opsin.models.black_box import open_onnx

        if self.weights is not None:
            raise OpsinError(f"--weights has no effect: {path} holds its weights; leave it out")
        found = open_onnx(path, self.classes.split(",") if self.classes else None)
        size = found.size if self.size is None else (self.size, self.size)
        if size is None:
            raise OpsinError(f"{path} takes pictures of any size; give the side that it was trained with: --size 224")
        found.preprocess = self._preprocess(found.channels or 3, size)
        return found

    def _preprocess(self, channels: int, size: int | tuple[int, int]) -> Preprocess:
        from opsin.data.preprocess import Preprocess

        return Preprocess.simple(channels=channels, size=size, mean=self.mean, std=self.std)


def _shape_of(weights: Path) -> tuple[int, int]:
    """Channels of the first convolution and outputs of the last linear layer in a weights file."""
    from opsin.models.weights import read_state

    state, _ = read_state(weights)
    kernels = [tensor for tensor in state.values() if tensor.ndim == 4]
    matrices = [tensor for tensor in state.values() if tensor.ndim == 2]
    channels = kernels[0].shape[1] if kernels and kernels[0].shape[1] in (1, 2, 3, 4) else 3
    if not matrices:
        raise OpsinError(f"{weights} holds no linear layer that says how many classes there are; give --classes a,b,c")
    return channels, matrices[-1].shape[0]
