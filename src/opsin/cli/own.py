"""The flags with which a person's own network is opened on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
        from opsin.inference.named import open_named

        return open_named(model, **self.arguments())

    def arguments(self) -> dict[str, Any]:
        """What `open_named` takes beside the model, as JSON has it."""
        return {
            "weights": None if self.weights is None else str(self.weights),
            "size": self.size,
            "classes": self.classes.split(",") if self.classes else None,
            "mean": self.mean,
            "std": self.std,
        }
