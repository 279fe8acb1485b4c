"""What a network's layers hold, what its first filters look like, and the pictures that excite it most."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError, some
from opsin.files import read_tensors, to_json, write_tensors
from opsin.records.common import jsonable
from opsin.records.stored import load_record, save_record


@dataclass(frozen=True)
class LayerMaps:
    """What one layer answers to some images.

    Attributes:
        name: the layer's name in `named_modules()`; `kind` is its class, such as `Conv2d`.
        maps: float32 `(n, c, h, w)`, or `(n, f)` of a layer without places; channels are the second axis whatever the
            layer's own order is.
        channels: int64 `(c,)`: which of the layer's `width` channels `maps` holds.
        width: channels of the layer.
        low, high: smallest and largest value over all images, channels and places, those that are not held too.
        zeros: share of all values that are exactly 0.
        dead: int64: channels with one and the same value at every place of every image (behind a ReLU: 0), to within a
            millionth of the layer's range. Where there is a single value per channel, those where it is 0.
    """

    name: str
    kind: str
    maps: np.ndarray
    channels: np.ndarray
    width: int
    low: float
    high: float
    zeros: float
    dead: np.ndarray

    @property
    def dead_share(self) -> float:
        """Share of the layer's channels that are dead on these images, 0..1."""
        return len(self.dead) / self.width

    @property
    def spatial(self) -> bool:
        """Whether the layer has places."""
        return self.maps.ndim == 4


@dataclass(frozen=True)
class FeatureMaps:
    """What the layers of a network answer to some images, in the order in which they run.

    Attributes:
        layers: one LayerMaps per layer.
        names: what each image is called.
        notes: what a reader has to know.
    """

    layers: tuple[LayerMaps, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, name: str) -> LayerMaps:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"{name}; the layers are {', '.join(layer.name for layer in self.layers)}")

    def text(self) -> str:
        """A table for people."""
        head = ("layer", "kind", "values per image", "smallest", "largest", "zeros", "dead channels")
        rows: list[tuple[str, ...]] = [head]
        for layer in self.layers:
            shape = " x ".join(map(str, (layer.width, *layer.maps.shape[2:])))
            dead = f"{len(layer.dead)} of {layer.width}"
            figures = (f"{layer.low:.3g}", f"{layer.high:.3g}", f"{layer.zeros:.1%}", dead)
            rows.append((layer.name, layer.kind, shape, *figures))
        widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the maps."""
        parts = ("name", "kind", "width", "low", "high", "zeros", "dead", "dead_share", "channels")
        layers = [
            {**{part: getattr(layer, part) for part in parts}, "shape": layer.maps.shape} for layer in self.layers
        ]
        return jsonable({"layers": layers, "names": self.names, "notes": self.notes})

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `FeatureMaps.load` reads it back."""
        arrays, guide = {}, []
        for layer in self.layers:
            arrays |= {f"{part}/{layer.name}": getattr(layer, part) for part in ("maps", "channels", "dead")}
            guide.append({part: getattr(layer, part) for part in ("name", "kind", "width", "low", "high", "zeros")})
        rest = {"layers": guide, "names": self.names, "notes": self.notes}
        write_tensors(path, arrays, {"FeatureMaps": to_json(rest)})

    @classmethod
    def load(cls, path: str | Path) -> FeatureMaps:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no feature maps.
        """
        arrays, metadata = read_tensors(path)
        if "FeatureMaps" not in metadata:
            raise OpsinError(f"{path} holds no FeatureMaps; expected a file that FeatureMaps.save wrote")
        rest = json.loads(metadata["FeatureMaps"])
        layers = []
        for entry in rest["layers"]:
            held: dict[str, Any] = {part: arrays[f"{part}/{entry['name']}"] for part in ("maps", "channels", "dead")}
            layers.append(LayerMaps(**entry, **held))
        return cls(tuple(layers), tuple(rest["names"]), tuple(rest["notes"]))


@dataclass(frozen=True)
class Filters:
    """The kernels of one convolution, and how many of them look like a Gabor function.

    Attributes:
        layer: its name in `named_modules()`; `kind` is convolution, depthwise, grouped or transposed.
        weights: float32 `(out, in, kh, kw)`; `in` counts the inputs of one group. Of a transposed convolution the
            stamp that one input value paints.
        groups: of the convolution.
        norms: float32 `(out,)`: Euclidean norm of each filter.
        dead: bool `(out,)`: the norm is below a thousandth of the median norm.
        flat: bool `(out,)`: not dead, but all but constant over the kernel's places (spread below 5 % of the norm).
        luminance: float32 `(out, kh, kw)`: the filter's first principal component over its inputs, times its strength:
            what was fitted; `colours` float32 `(out, in)` is that component's direction, a unit vector.
        explained: float32 `(out,)`: share of the filter's energy that this component holds, 0..1.
        r2: float32 `(out,)`: share of the variance over places that the best Gabor function explains (0 for dead and
            flat filters), or None where none was fitted.
        gabor: float64 `(out, 8)`, its parameters in the order of `PARAMETERS`, or None.
        blob: bool `(out,)`: a Gaussian without a wave reaches the threshold too and leaves less than twice as much
            unexplained, so that the filter is no Gabor-like one; or None.
        threshold: of `r2` from which on a filter counts as Gabor-like.
        gabor_share: share of the filters that are neither dead nor flat which are Gabor-like, or None.
        control_share: the same of `controls` random filters with the bank's own mean power spectrum, or None.
        seed: of the random filters.
        notes: what a reader has to know to judge the share.
    """

    layer: str
    kind: str
    weights: np.ndarray
    groups: int
    norms: np.ndarray
    dead: np.ndarray
    flat: np.ndarray
    luminance: np.ndarray
    colours: np.ndarray
    explained: np.ndarray
    r2: np.ndarray | None = None
    gabor: np.ndarray | None = None
    blob: np.ndarray | None = None
    threshold: float = 0.0
    gabor_share: float | None = None
    control_share: float | None = None
    controls: int = 0
    seed: int = 0
    notes: tuple[str, ...] = ()

    PARAMETERS = ("amplitude", "row", "column", "angle", "sigma_along", "sigma_across", "frequency", "phase")
    """Row and column of the centre in pixels from the kernel's middle; angle in radians of the wave's direction from
    the columns' axis towards the rows'; both sigmas in pixels, along the wave's direction and across it; frequency in
    cycles per pixel; phase in radians (0: a bright bar in the middle)."""

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def gabor_like(self) -> np.ndarray:
        """bool `(out,)`: which filters count."""
        if self.r2 is None or self.blob is None:
            return np.zeros(len(self), bool)
        return (self.r2 >= self.threshold) & ~self.blob & ~self.dead & ~self.flat

    def text(self) -> str:
        """What was found, in plain sentences."""
        out, inputs, height, width = self.weights.shape
        lines = [f"{self.layer}: {out} filters, {self.kind}, {inputs} x {height} x {width}"]
        if self.dead.any() or self.flat.any():
            lines.append(f"{int(self.dead.sum())} dead, {int(self.flat.sum())} all but constant")
        if self.gabor_share is not None:
            lines.append(
                f"{self.gabor_share:.0%} are Gabor-like (R2 of at least {self.threshold:g}); of {self.controls} random "
                f"filters with the same spectrum {self.control_share:.0%}"
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the kernels."""
        left_out = ("weights", "luminance")
        parts = [name for name in self.__dataclass_fields__ if name not in left_out]
        found = {name: getattr(self, name) for name in parts}
        return jsonable({**found, "shape": self.weights.shape, "gabor_like": self.gabor_like})

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `Filters.load` reads it back."""
        save_record(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Filters:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no filters.
        """
        return load_record(cls, path)


@dataclass(frozen=True)
class Dream:
    """Pictures that were made to excite something in a network as much as possible.

    t things were dreamt of, in m steps; f frames of each are held.

    Attributes:
        labels: what each was to excite: the class's name, `layer channel 5`, `layer channel 5 at (3, 4)`.
        pictures: float32 `(t, h, w, c)`, 0..1: the pixels before normalisation.
        frames: uint8 `(t, f, h, w, c)`: how they came about; the last frame is the picture.
        steps: int64 `(f,)`: after how many steps each frame was taken.
        activations: float32 `(t, m)`: the activation before each step, averaged over its random views.
        final: float32 `(t,)`: the activation of the finished picture as it is.
        noise: float32 `(t, k)`: the activations of k random pictures with the same colours and the same 1/f spectrum.
        real: float32 `(t, n)`: those of the images that were given, or None.
        layer: whose activation it is, or "" of a class's score.
        model, options, seed, seconds: what made it.
        notes: what a reader has to know.
    """

    labels: tuple[str, ...]
    pictures: np.ndarray
    frames: np.ndarray
    steps: np.ndarray
    activations: np.ndarray
    final: np.ndarray
    noise: np.ndarray
    real: np.ndarray | None
    layer: str
    model: str
    options: dict[str, Any]
    seed: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def pixels(self) -> np.ndarray:
        """uint8 `(t, h, w, c)`: the finished pictures."""
        return self.frames[:, -1]

    @property
    def above_noise(self) -> np.ndarray:
        """bool `(t,)`: the picture excites more than every random one."""
        return self.final > self.noise.max(axis=1)

    @property
    def above_real(self) -> np.ndarray | None:
        """bool `(t,)`: the picture excites more than every image that was given; None where none was."""
        return None if self.real is None else self.final > self.real.max(axis=1)

    def text(self) -> str:
        """A table for people: each activation beside what noise and real images reach."""
        head = ["dream of", "activation", "random pictures", *(["real images"] if self.real is not None else [])]
        rows = [head]
        for at, label in enumerate(self.labels):
            others = [self.noise] if self.real is None else [self.noise, self.real]
            spans = [f"{values[at].min():.3g} to {values[at].max():.3g}" for values in others]
            rows.append([label, f"{self.final[at]:.3g}", *spans])
        widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        short = [label for label, above in zip(self.labels, self.above_noise, strict=True) if not above]
        if short:
            lines.append(f"no more than random pictures: {some(short)}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the pictures."""
        parts = ("labels", "activations", "final", "noise", "real", "layer", "model", "options", "seed", "seconds")
        found = {name: getattr(self, name) for name in parts}
        return jsonable({**found, "shape": self.pictures.shape, "above_noise": self.above_noise, "notes": self.notes})

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `Dream.load` reads it back."""
        save_record(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Dream:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no dream.
        """
        return load_record(cls, path)
