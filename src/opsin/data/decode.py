"""The only place where bytes become pixels, for training, prediction, export and serving alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from opsin.data.dicom import describe_dicom, read_dicom
from opsin.data.formats import describe_picture, guarded, picture_samples, read_picture, sniff
from opsin.data.samples import MODES, Mode, RefusedError, Samples, Window, in_mode, upright_picture
from opsin.errors import OpsinError

MAX_BYTES = 2 * 2**30
"""Larger files are refused unread."""


class UnreadableImage(OpsinError):
    """A file that is no picture, or not a whole one.

    Attributes:
        path: the file, or what else the picture was called.
        reason: a short clause that says why.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be read as an image: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[str, str]]:
        return type(self), (self.path, self.reason)


@dataclass(frozen=True, eq=False)
class Decoded:
    """One picture, upright, 8-bit.

    Attributes:
        picture: the Pillow image, of mode `mode`; it is shared, so do not change it.
        mode: the mode that was asked for.
        source_mode: what the source held, such as `CMYK`, `P`, `I;16`.
        size: `(height, width)`, after EXIF rotation.
        frames: how many pictures the source holds; this is the first.
        window: for more than 8 bits, the source values that became 0 and 255; else None.
        notes: what was done on the way.
    """

    picture: Image.Image
    mode: Mode
    source_mode: str
    size: tuple[int, int]
    frames: int = 1
    window: Window | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 `(h, w, c)`, c = 1, 2, 3, 4 by mode L, LA, RGB, RGBA; read-only."""
        # made on demand: a large photograph that is shrunk at once never needs the array, which takes long to make
        pixels = np.asarray(self.picture).reshape(*self.size, -1)
        pixels.flags.writeable = False
        return pixels

    def as_mode(self, mode: str) -> Decoded:
        """This picture in another mode. Alpha that was laid on white does not come back.

        Raises:
            OpsinError: `mode` is not L, LA, RGB or RGBA.
        """
        return self if mode == self.mode else replace(self, picture=in_mode(self.picture, _checked(mode)), mode=mode)


@dataclass(frozen=True)
class ImageInfo:
    """What a file's header says, without decoding its pixels.

    Attributes:
        size: `(height, width)`, after EXIF rotation.
        colour: False for grey (also for a palette of greys). Grey stored as RGB counts as colour.
        alpha: some pixels may be transparent.
        source_mode: as in Decoded.
        format: such as `PNG`, by content, not by suffix.
    """

    size: tuple[int, int]
    colour: bool
    alpha: bool
    source_mode: str
    format: str


def decode(source: str | Path | bytes, mode: str = "RGB") -> Decoded:
    """Read one picture: a file, or the bytes of one. The content decides the format, never the suffix.

    EXIF rotation is applied; animations and multi-page files give their first picture; alpha that `mode` lacks is
    laid on white; grey of colour is ITU-R BT.601 luma; more than 8 bits go through a window that is chosen from the
    picture's own values at full depth (`opsin.data.samples.upright_picture`) and recorded.

    Raises:
        UnreadableImage: no picture, a damaged or truncated one, one that is too large, or one that needs an extra.
        OpsinError: `mode` is not L, LA, RGB or RGBA.
    """
    mode = _checked(mode)
    name = _name(source)
    try:
        data = _bytes(source)
        with guarded():
            reader = read_dicom if sniff(data[:132]) == "DICOM" else read_picture
            return _finish(reader(data), mode)
    except RefusedError as refused:
        raise UnreadableImage(name, str(refused)) from refused.__cause__


def probe_image(source: str | Path | bytes) -> ImageInfo:
    """Read a picture's header: cheap, and no promise that its pixels can be decoded.

    Raises:
        UnreadableImage: no picture, or one that is too large or needs an extra.
    """
    name = _name(source)
    try:
        data = _bytes(source)
        with guarded():
            describe = describe_dicom if sniff(data[:132]) == "DICOM" else describe_picture
            return ImageInfo(*describe(data))
    except RefusedError as refused:
        raise UnreadableImage(name, str(refused)) from refused.__cause__


def from_pil(image: Image.Image, mode: str = "RGB") -> Decoded:
    """A Pillow image, its current frame, as `decode` would read it (EXIF rotation included). It is not changed.

    Pillow itself holds 16-bit colour with 8 bits: pass the path of such a file instead.

    Raises:
        UnreadableImage: its file is damaged or truncated.
        OpsinError: `mode` is not L, LA, RGB or RGBA.
    """
    mode = _checked(mode)
    try:
        with guarded():
            return _finish(picture_samples(image), mode)
    except RefusedError as refused:
        raise UnreadableImage(str(getattr(image, "filename", "") or "the PIL image"), str(refused)) from refused


def from_array(array: np.ndarray, mode: str = "RGB") -> Decoded:
    """A picture that is an array already: uint8, uint16 or bool, `(h, w)` or `(h, w, c)`, c = 1 grey, 2 grey and
    alpha, 3 RGB, 4 RGBA. uint16 goes through a window as a 16-bit file does; True is white.

    Raises:
        OpsinError: another shape or type, or `mode` is not L, LA, RGB or RGBA.
    """
    mode = _checked(mode)
    values = np.asarray(array)
    if values.dtype == bool:
        values = values.astype(np.uint8) * 255
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        raise OpsinError(
            f"an image array of {values.dtype} was given; expected uint8 values 0..255 (or uint16): scale it first, "
            "or pass a float tensor (n, c, h, w) that is already preprocessed"
        )
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or not 1 <= values.shape[2] <= 4 or 0 in values.shape:
        hint = "; move the channels last" if values.ndim == 3 and values.shape[0] <= 4 else ""
        raise OpsinError(f"an image array of shape {np.shape(array)} was given; expected (h, w) or (h, w, 1..4){hint}")
    source_mode = MODES[values.shape[2] - 1] + (";16" if values.dtype.itemsize == 2 else "")
    return _finish(Samples(values.astype(values.dtype.newbyteorder("="), copy=False), source_mode), mode)


def _finish(samples: Samples, mode: Mode) -> Decoded:
    picture, window = upright_picture(samples)
    notes = samples.notes
    if picture.mode.endswith("A") and not mode.endswith("A"):
        notes = (*notes, "transparency laid on white")
    size = (picture.height, picture.width)
    return Decoded(in_mode(picture, mode), mode, samples.source_mode, size, samples.frames, window, notes)


def _checked(mode: str) -> Mode:
    if mode not in MODES:
        raise OpsinError(f"mode {mode!r} was given; expected one of {', '.join(MODES)}")
    return cast(Mode, mode)


def _name(source: str | Path | bytes) -> str:
    return f"{len(source):,} bytes" if isinstance(source, bytes) else str(source)


def _bytes(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    path = Path(source)
    try:
        if path.is_dir():
            raise RefusedError("it is a folder, not a file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RefusedError(f"the file has {size:,} bytes, more than the {MAX_BYTES:,} that are read")
        return path.read_bytes()
    except FileNotFoundError:
        raise RefusedError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise RefusedError(getattr(error, "strerror", None) or str(error)) from None
