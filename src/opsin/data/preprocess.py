"""The one description of how a picture becomes a tensor. It travels with the model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opsin.data.decode import Decoded
from opsin.data.samples import MODES, Mode
from opsin.errors import OpsinError

if TYPE_CHECKING:
    import torch

PIXELS_VERSION = 1
"""Raised whenever decoding or resizing gives other pixels than before, so that caches are filled anew."""

LARGEST_EDGE = 16_384
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
Box = tuple[float, float, float, float]


class Preprocess(BaseModel):
    """How a picture becomes a network's input, in training, prediction, export and serving alike.

    Attributes:
        mode: the channels: L (grey), LA, RGB or RGBA.
        height, width: of the input, in pixels.
        fit: `crop` scales the picture so that it covers (height, width) / crop and takes the middle; `pad` shows the
            whole picture and fills the rest with black (transparent, where there is alpha); `stretch` ignores the
            picture's proportions.
        crop: the share of the scaled picture's short side that `fit="crop"` keeps, in (0, 1].
        interpolation: Pillow's filter; all but `nearest` are antialiased when shrinking.
        mean, std: per channel, of values in 0..1. The network gets `(value / 255 - mean) / std`.

    Raises:
        OpsinError: a setting is unknown, missing or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: Mode = "RGB"
    height: int = Field(ge=1, le=LARGEST_EDGE)
    width: int = Field(ge=1, le=LARGEST_EDGE)
    fit: Literal["crop", "pad", "stretch"] = "crop"
    crop: float = Field(default=1.0, gt=0, le=1)
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    mean: tuple[float, ...]
    std: tuple[float, ...]

    if not TYPE_CHECKING:  # type checkers see the fields as parameters

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                raise OpsinError(_one_line(error)) from None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("mean", "std"):
            given = len(getattr(self, name))
            if given != self.channels:
                raise ValueError(f"{name} has {given} values, expected {self.channels}: one per channel of {self.mode}")
        if min(self.std) <= 0:
            raise ValueError(f"std has a value of {min(self.std):g}; every value must be above 0")
        if self.crop != 1 and self.fit != "crop":
            raise ValueError(f"crop={self.crop:g} has no effect with fit={self.fit!r}; leave it out, or use fit='crop'")
        return self

    @classmethod
    def simple(
        cls,
        channels: int = 3,
        size: int | tuple[int, int] = 224,
        mean: float = 0.5,
        std: float = 0.5,
    ) -> Preprocess:
        """The plain one: cover `size` (an edge, or height and width) and scale every channel the same way.

        Raises:
            OpsinError: a value is out of range.
        """
        if channels not in (1, 2, 3, 4):
            raise OpsinError(
                f"{channels!r} channels were given; expected 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA)"
            )
        height, width = (size, size) if isinstance(size, int) else size
        return cls(
            mode=MODES[channels - 1],  # type: ignore[arg-type]
            height=height,
            width=width,
            mean=(mean,) * channels,
            std=(std,) * channels,
        )

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Preprocess:
        """The Preprocess that `model_dump` described, as JSON gives it back.

        Raises:
            OpsinError: a setting is unknown, missing or out of range.
        """
        if not isinstance(values, Mapping):
            raise OpsinError(
                f"a Preprocess cannot be read from {type(values).__name__}; expected a mapping of its settings"
            )
        return cls(**{str(name): value for name, value in values.items()})

    @property
    def channels(self) -> int:
        """1 for L, 2 for LA, 3 for RGB, 4 for RGBA."""
        return MODES.index(self.mode) + 1

    def pixels(self, image: Decoded) -> np.ndarray:
        """uint8 `(height, width, c)`: what the network sees of `image`, before normalising."""
        picture = image.as_mode(self.mode).picture
        if self.fit != "pad":
            return _resized(picture, (self.height, self.width), self._box(image.size), self.interpolation)
        top, left, rows, columns = self._letterbox(image.size)
        out = np.zeros((self.height, self.width, self.channels), np.uint8)
        whole = (0.0, 0.0, float(image.size[0]), float(image.size[1]))
        out[top : top + rows, left : left + columns] = _resized(picture, (rows, columns), whole, self.interpolation)
        return out

    def normalise(self, pixels: np.ndarray | torch.Tensor) -> torch.Tensor:
        """float32 `(n, c, h, w)`, `(value / 255 - mean) / std`, of uint8 `(n, h, w, c)`; on the device of `pixels`.

        The values lie in memory as they came, channels last: nothing is moved.

        Raises:
            OpsinError: another type, shape or number of channels.
        """
        import torch

        if pixels.ndim != 4 or pixels.shape[3] != self.channels or str(pixels.dtype).removeprefix("torch.") != "uint8":
            raise OpsinError(
                f"pixels of shape {tuple(pixels.shape)} and type {pixels.dtype} were given; expected uint8 "
                f"(n, height, width, {self.channels})"
            )
        if isinstance(pixels, np.ndarray):
            # PyTorch takes no read-only array; a copy of bytes is cheap beside the floats that follow
            pixels = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
        count, height, width, channels = pixels.shape
        scale, shift = _row_constants(self.mean, self.std, width, pixels.device)
        # whole rows of width x c values: a last axis of 1 to 4 would leave the vector units idle
        rows = pixels.reshape(count, height, width * channels).float()
        torch.addcmul(shift, rows, scale, out=rows)
        return rows.view(count, height, width, channels).permute(0, 3, 1, 2)

    def denormalise(self, tensor: torch.Tensor) -> np.ndarray:
        """uint8 `(n, h, w, c)` of float `(n, c, h, w)`: the inverse of `normalise`, rounded and clipped.

        Raises:
            OpsinError: another shape or number of channels.
        """
        import torch

        if tensor.ndim != 4 or tensor.shape[1] != self.channels:
            raise OpsinError(
                f"a tensor of shape {tuple(tensor.shape)} was given; expected (n, {self.channels}, height, width)"
            )
        values = tensor.detach().float().cpu().permute(0, 2, 3, 1)
        values = (values * torch.tensor(self.std) + torch.tensor(self.mean)) * 255
        return values.nan_to_num_(nan=0.0).round_().clamp_(0, 255).to(torch.uint8).contiguous().numpy()

    def geometry(self, size: tuple[int, int]) -> Box:
        """Where the input lies in an original of `size` `(height, width)`: `(top, left, bottom, right)` in the
        original's pixels. With `fit="pad"` it reaches beyond the picture."""
        if self.fit != "pad":
            return self._box(size)
        top, left, rows, columns = self._letterbox(size)
        down, across = size[0] / rows, size[1] / columns
        return -top * down, -left * across, (self.height - top) * down, (self.width - left) * across

    def pixel_key(self) -> str:
        """What decides the uint8 pixels, as a name for files: equal keys, equal pixels. Mean and std do not."""
        fit = f"{self.fit}{self.crop!r}" if self.fit == "crop" else self.fit
        return f"{self.mode}-{self.height}x{self.width}-{fit}-{self.interpolation}-{PIXELS_VERSION}"

    def _box(self, size: tuple[int, int]) -> Box:
        """The part of a picture of `size` that fills the input: (top, left, bottom, right)."""
        height, width = size
        if self.fit == "stretch":
            return 0.0, 0.0, float(height), float(width)
        covered = round(self.height / self.crop), round(self.width / self.crop)
        # whole numbers as in the usual evaluation transforms (resize the short side, then crop the middle), on which
        # pretrained weights were measured; the margin is never computed, so that 10,000 x 1 pixels cost no more
        if covered[0] * width >= covered[1] * height:
            rows, columns = covered[0], max(covered[1], covered[0] * width // height)
        else:
            rows, columns = max(covered[0], covered[1] * height // width), covered[1]
        top, left = round((rows - self.height) / 2), round((columns - self.width) / 2)
        down, across = height / rows, width / columns
        return (
            top * down,
            left * across,
            min((top + self.height) * down, float(height)),
            min((left + self.width) * across, float(width)),
        )

    def _letterbox(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Where the whole picture lies in the input: (top, left, rows, columns)."""
        scale = min(self.height / size[0], self.width / size[1])
        rows = min(self.height, max(1, round(size[0] * scale)))
        columns = min(self.width, max(1, round(size[1] * scale)))
        return (self.height - rows) // 2, (self.width - columns) // 2, rows, columns


def _resized(picture: Image.Image, size: tuple[int, int], box: Box, interpolation: str) -> np.ndarray:
    top, left, bottom, right = box
    if (picture.height, picture.width) != size or box != (0, 0, *size):
        picture = picture.resize((size[1], size[0]), _FILTERS[interpolation], box=(left, top, right, bottom))
    return np.array(picture).reshape(*size, -1)


@functools.lru_cache(16)
def _row_constants(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 `(width x c,)` each: the factor and the summand that normalise a row of uint8 pixels."""
    import torch

    spread = torch.tensor(std, dtype=torch.float64)
    factor, summand = 1 / (255 * spread), -torch.tensor(mean, dtype=torch.float64) / spread
    return factor.float().repeat(width).to(device), summand.float().repeat(width).to(device)


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"][:1]))
    known = ", ".join(Preprocess.model_fields)
    if first["type"] == "missing":
        return f"this Preprocess lacks {name}; expected {known}"
    if first["type"] == "extra_forbidden":
        return f"a Preprocess has no setting {name}; expected {known}"
    if first["type"] == "value_error":
        return f"this Preprocess cannot be used: {first['msg'].removeprefix('Value error, ')}"
    return f"Preprocess {name}={first['input']!r} cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}"
