"""Where in its input a score comes from, and how far two such maps agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.errors import OpsinError
from opsin.records.common import jsonable
from opsin.records.shown import Shown
from opsin.records.stored import load_record, save_record

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Explanation(Shown):
    """Where in its input a Classifier's score comes from, as one method has it.

    Attributes:
        maps: float32 `(n, h, w)` at the input's size, as the method's paper defines them: attributions are signed,
            class activation maps clamped at zero; never rescaled.
        inputs: float32 `(n, c, h, w)`, the images as the network got them.
        method: the method's name; `options` are its settings, all of them.
        layer: the layer that was looked at, or "" where the method looks at none.
        targets: int64 `(n,)`: the class whose score is explained.
        against: int64 `(n,)`, the class whose score was subtracted ("why the first rather than this"), or None.
        classes: class names in the order of the scores.
        names: what each image is called.
        seed: of the random draws of a stochastic method.
        evaluations: forward passes per image; a pass back counts as one more.
        seconds: wall time for all images.
        error: float32 `(n,)`: standard error of a stochastic method's map, averaged over its places; or None.
        completeness: float32 `(n,)`: sum of the map minus the change of the score that it should explain, where the
            method promises that they are equal; or None.
        probabilities: float32 `(n,)`: the softmax probability of the target class, or None where it is not known.
        geometry: float64 `(n, 4)`: top, left, bottom, right of the input in the original picture's pixels, upright; or
            None where it is not known. The box may reach beyond the picture (`fit="pad"`).
        display: (mean, std) per channel with which `inputs` become pixels again (`input * std + mean` lies in 0..1), or
            None: they are scaled from their own smallest and largest value.
        notes: warnings that belong to the maps, such as a blank one.
        used: what was left to the method and found while it ran, such as the engine and its difference from eager.
    """

    maps: np.ndarray
    inputs: np.ndarray
    method: str
    options: dict[str, Any]
    layer: str
    targets: np.ndarray
    classes: tuple[str, ...]
    names: tuple[str, ...]
    against: np.ndarray | None = None
    seed: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    error: np.ndarray | None = None
    completeness: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    geometry: np.ndarray | None = None
    display: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    notes: tuple[str, ...] = ()
    used: dict[str, Any] = field(default_factory=dict)

    _ARRAYS = ("maps", "inputs", "targets", "against", "error", "completeness", "probabilities", "geometry")

    def __post_init__(self) -> None:
        images, size = len(self.inputs), self.inputs.shape[-2:]
        if self.maps.shape != (images, *size):
            raise OpsinError(
                f"maps have shape {self.maps.shape}, expected {(images, *size)}: one per input, at its size"
            )

    def __len__(self) -> int:
        return len(self.maps)

    def normalised(self) -> Explanation:
        """A copy whose maps are scaled to 0..1 per image (a flat map becomes zeros), and nothing else."""
        low = self.maps.min(axis=(1, 2), keepdims=True)
        spread = self.maps.max(axis=(1, 2), keepdims=True) - low
        scaled = np.divide(self.maps - low, spread, out=np.zeros_like(self.maps), where=spread > 0)
        return dataclasses.replace(self, maps=scaled)

    def rows(self, chosen: Sequence[int]) -> Explanation:
        """The explanation of some of the images, in the order of `chosen`."""
        positions = [int(position) for position in chosen]
        parts = {name: value[positions] for name in self._ARRAYS if (value := getattr(self, name)) is not None}
        return dataclasses.replace(self, names=tuple(self.names[position] for position in positions), **parts)

    def overlay(
        self, index: int = 0, *, original: Image.Image | np.ndarray | str | Path | None = None, longest: int = 2048
    ) -> Image.Image:
        """The map on its picture, as an RGB image in which the photograph stays readable.

        Args:
            index: which image.
            original: the picture that was explained (a path, a PIL image, or uint8 `(h, w)` or `(h, w, c)`): the map
                is laid on it at the place that the input was taken from, and the rest is shown as it is. None: on the
                input itself, small ones enlarged pixel by pixel.
            longest: a longer original is shrunk until its longer side has so many pixels.

        Raises:
            OpsinError: there is no such image, or it is not known where the input lies in the original.
        """
        from opsin.reporting.pictures import overlay_of

        return overlay_of(self, index, original, longest)

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `Explanation.load` reads it back."""
        save_record(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Explanation:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no explanation.
        """
        return load_record(cls, path)


@dataclass(frozen=True)
class Agreement:
    """How alike two Explanations of the same images are, per image float64 `(n,)`.

    Attributes:
        spearman: rank correlation over places, -1..1.
        ssim: structural similarity of the maps scaled to 0..1 each (Wang et al. 2004).
        iou: intersection over union of the `top` share of places with the highest values, 0..1.
        top: that share.
    """

    spearman: np.ndarray
    ssim: np.ndarray
    iou: np.ndarray
    top: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the means, then the values per image."""
        parts = {name: getattr(self, name) for name in ("spearman", "ssim", "iou")}
        means = {f"mean_{name}": float(values.mean()) for name, values in parts.items()}
        return {**means, "top": self.top, **jsonable(parts)}
