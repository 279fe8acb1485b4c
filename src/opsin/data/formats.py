"""Files that Pillow reads: from bytes to Samples, at the full depth of the file."""

from __future__ import annotations

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageFile

from opsin.data.samples import RefusedError, Samples
from opsin.errors import OpsinError

MAX_PIXELS = 178_956_970
"""Pictures with more pixels are refused before they are decoded: a small file can claim any size."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF", "ICO", "QOI", "PCX")
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
# Pillow has no mode for 16-bit colour and keeps the high bytes. Read once as it wants to, and once with the byte
# order turned round, the file gives both bytes of every sample.
_OTHER_BYTES = {
    "RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B",
    "RGBX;16B": "RGBX;16L", "RGBX;16L": "RGBX;16B",
}  # fmt: skip
_NATIVE = "L" if np.little_endian else "B"
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF8", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"), (b"qoif", "QOI"), (b"\0\0\1\0", "ICO"), (b"BM", "BMP"),
)  # fmt: skip
_PATTERNS = (
    (rb"RIFF....WEBP", "WEBP"), (rb"P([1-6fF]\s|yP4)", "PPM"), (rb"\n[\0\2\3\5][\0\1][\1\2\4\x08]", "PCX"),
)  # fmt: skip
_FOREIGN = (
    (b"version https://git-lfs", "it is a Git LFS pointer; fetch the file itself with git lfs pull"),
    (b"%PDF", "it is a PDF document, not an image"),
    (b"\x93NUMPY", "it is a NumPy array file; load it and pass the array"),
    (b"PK\x03\x04", "it is a ZIP archive; unpack it first"),
    (b"\x1f\x8b", "it is gzip-compressed; unpack it first"),
)


def sniff(head: bytes) -> str | None:
    """What the first 132 bytes of a file claim to be: a name of `FORMATS`, `HEIC`, `DICOM`, or None."""
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[4:8] == b"ftyp":
        brands = head[8:12] + head[16:64]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return "HEIC" if any(brand in brands for brand in _HEIC_BRANDS) else None
    known = next((name for signature, name in _SIGNATURES if head.startswith(signature)), None)
    return known or next((name for pattern, name in _PATTERNS if re.match(pattern, head, re.DOTALL)), None)


class _Silence:
    """Silences the decoders' warnings while any thread decodes.

    `warnings.catch_warnings` swaps the filters of the whole process, so two threads that use it at once can leave
    the wrong ones behind. Here one filter, which names only the decoders' modules, is put in by the first thread that
    enters and taken out by the last one that leaves.
    """

    MODULES = r"(PIL|pydicom|pillow_heif)(\.|$)"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._entry: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._entry is None or self._entry not in warnings.filters:
                warnings.filterwarnings("ignore", module=self.MODULES)
                self._entry = warnings.filters[0]

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                with contextlib.suppress(ValueError):
                    warnings.filters.remove(self._entry)  # type: ignore[attr-defined]
                self._entry = None


silence = _Silence()


def check_size(width: int, height: int) -> None:
    """Refuse a picture without pixels, or with more than `MAX_PIXELS`.

    Raises:
        RefusedError: says the size and the limit.
    """
    if width < 1 or height < 1:
        raise RefusedError(f"it has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        raise RefusedError(
            f"it claims {width:,} x {height:,} pixels, more than the {MAX_PIXELS:,} that are decoded "
            "(a decompression bomb, or a picture to be tiled first)"
        )


def open_picture(data: bytes) -> Image.Image:
    """The picture in `data`, its header read and its size checked, its pixels not yet decoded.

    Raises:
        RefusedError: says why the bytes are no picture that can be read.
    """
    if not data:
        raise RefusedError("the file is empty (0 bytes)")
    kind = sniff(data[:132])
    if kind == "HEIC":
        picture: Image.Image = _open_heic(data)
    else:
        picture = _open_pillow(data, kind)
    check_size(*picture.size)
    return picture


def _open_pillow(data: bytes, kind: str | None) -> Image.Image:
    Image.init()
    try:
        return Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise RefusedError(f"it claims more pixels than are decoded ({error})") from None
    except Image.UnidentifiedImageError:
        raise RefusedError(_unidentified(data, kind)) from None


def _unidentified(data: bytes, kind: str | None) -> str:
    for signature, reason in _FOREIGN:
        if data.startswith(signature):
            return reason
    if kind is not None and kind not in Image.OPEN:
        return f"it is {kind}, which this build of Pillow cannot read"
    if kind is not None:
        return f"the {kind} file is damaged, truncated, or of a kind that Pillow cannot read"
    if _is_text(data[:512]):
        return "it is text, not an image"
    return f"it is none of the formats that can be read ({', '.join(FORMATS)}, HEIC, DICOM)"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter.isspace() for letter in text)


def _open_heic(data: bytes) -> Image.Image:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError:
        raise RefusedError('it is HEIC; to read it: pip install "opsin[heic]"') from None
    # the class itself, not register_heif_opener(): Pillow's table of formats belongs to the whole process
    return HeifImageFile(io.BytesIO(data))


def read_picture(data: bytes) -> Samples:
    """The first picture in `data` (JPEG, PNG, ..., HEIC) at its full depth.

    Raises:
        RefusedError: the bytes are no picture, or not a whole one. Decoders raise errors of their own as well.
    """
    picture = open_picture(data)
    deep = _deep_colour(picture, data)
    if deep is not None:
        return _described(picture, deep, "16-bit colour")
    notes = ("read with 8 of its 16 bits",) if _is_deep_colour(picture) else ()
    return picture_samples(picture, notes)


def picture_samples(picture: Image.Image, notes: tuple[str, ...] = ()) -> Samples:
    """The current frame of a Pillow image at the depth that Pillow holds. The image is loaded, not changed."""
    picture.load()
    return _described(picture, _values(picture), *notes)


def _described(picture: Image.Image, values: Image.Image | np.ndarray, *notes: str) -> Samples:
    orientation, problem = _orientation(picture)
    frames = _frames(picture)
    told = [*notes, *problem]
    if frames > 1:
        told.append(f"the first of {frames} frames")
    if orientation != 1:
        told.append(f"turned by EXIF orientation {orientation}")
    if picture.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        told.append(f"{picture.mode} converted to RGB without a colour profile")
    return Samples(
        values=values,
        source_mode=picture.mode,
        frames=frames,
        inverted=isinstance(values, np.ndarray) and _white_is_zero(picture),
        orientation=orientation,
        notes=tuple(told),
    )


def _orientation(picture: Image.Image) -> tuple[int, tuple[str, ...]]:
    try:
        value = picture.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata takes many forms and must not cost the picture
        return 1, ("its EXIF data cannot be read",)
    return (value, ()) if isinstance(value, int) and 1 <= value <= 8 else (1, ())


def _frames(picture: Image.Image) -> int:
    try:
        return int(getattr(picture, "n_frames", 1))
    except Exception:  # a later frame is damaged: the first one, the one that counts, was read
        return 1


def _white_is_zero(picture: Image.Image) -> bool:
    tags = getattr(picture, "tag_v2", None)
    return tags is not None and tags.get(262) == 0


def _values(picture: Image.Image) -> Image.Image | np.ndarray:
    """An array where there are more than 8 bits; else a Pillow image of mode L, LA, RGB or RGBA that is not shared."""
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _deep_grey(picture)
    if mode == "L" and _is_signed(picture):
        return np.asarray(picture).view(np.int8)[..., None].astype(np.int16)
    if mode == "CMYK" and getattr(picture, "format", None) in ("JPEG", "MPO") and "adobe" not in picture.info:
        # Pillow takes every CMYK JPEG for an inverted one; only those with Adobe's marker are
        picture = ImageChops.invert(picture)
    see_through = picture.has_transparency_data
    target = ("L" if mode in ("1", "L", "LA", "La") else "RGB") + ("A" if see_through else "")
    # a copy costs a hundredth of decoding, and keeps a caller's image, and its later changes, apart
    return picture.copy() if mode == target else picture.convert(target)


def _is_signed(picture: Image.Image) -> bool:
    tags = getattr(picture, "tag_v2", None)
    return tags is not None and tags.get(339) == (2,)


def _deep_grey(picture: Image.Image) -> np.ndarray:
    values = np.asarray(picture)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    tags = getattr(picture, "tag_v2", {})
    if picture.mode == "I" and tags and tags.get(258) == (32,) and tags.get(339, (1,)) == (1,):
        values = values.view(np.uint32)  # Pillow reads unsigned 32-bit TIFF as signed: order would break at 2^31
    clear = picture.info.get("transparency")
    if isinstance(clear, int) and values.dtype == np.uint16:
        return np.stack([values, _opaque_except(values == clear)], axis=2)
    return values[..., None]


def _opaque_except(clear: np.ndarray) -> np.ndarray:
    return np.where(clear, 0, 65535).astype(np.uint16)


def _is_deep_colour(picture: Image.Image) -> bool:
    return (
        any(";16" in _raw_mode(tile.args) for tile in getattr(picture, "tile", ())) and picture.mode not in _GREY_MODES
    )


def _raw_mode(arguments: Any) -> str:
    if isinstance(arguments, tuple):
        arguments = arguments[0] if arguments else ""
    return arguments.replace(";16N", f";16{_NATIVE}") if isinstance(arguments, str) else ""


def _deep_colour(picture: Image.Image, data: bytes) -> np.ndarray | None:
    """uint16 `(h, w, 2..4)` of a file with 16-bit colour (or grey with alpha); None for every other file."""
    tiles = getattr(picture, "tile", ())
    raw = {_raw_mode(tile.args) for tile in tiles}
    if not isinstance(picture, ImageFile.ImageFile) or len(raw) != 1:
        return None
    name = raw.pop()
    if name == "LA;16B" and picture.mode == "RGBA":
        picture.tile = _with_raw_mode(tiles, "RGBA")  # its four bytes are high, low of grey and high, low of alpha
        picture.load()
        bytes_ = np.asarray(picture).astype(np.uint16)
        return bytes_[..., 0::2] << 8 | bytes_[..., 1::2]
    if name not in _OTHER_BYTES:
        return None
    twin = open_picture(data)
    assert isinstance(twin, ImageFile.ImageFile)
    twin.tile = _with_raw_mode(twin.tile, _OTHER_BYTES[name])
    picture.load()
    twin.load()
    values = np.asarray(picture).astype(np.uint16) << 8 | np.asarray(twin)
    clear = picture.info.get("transparency")
    if values.shape[2] == 3 and isinstance(clear, tuple):
        values = np.concatenate([values, _opaque_except((values == clear).all(axis=2, keepdims=True))], axis=2)
    return values


def _with_raw_mode(tiles: Any, raw: str) -> list[Any]:
    return [tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in tiles]


def describe_picture(data: bytes) -> tuple[tuple[int, int], bool, bool, str, str]:
    """`((height, width) upright, colour, alpha, mode, format)` from the header alone.

    Raises:
        RefusedError: says why the bytes are no picture that can be read.
    """
    picture = open_picture(data)
    width, height = picture.size
    # a PNG without an early EXIF chunk would decode all its pixels to look for a late one
    seek = picture.format != "PNG" or b"eXIf" in data or "Raw profile type exif" in picture.info or b"tiff:Or" in data
    if picture.format != "TIFF" and seek and _orientation(picture)[0] >= 5:
        width, height = height, width
    grey = picture.mode in _GREY_MODES or (picture.mode == "P" and _grey_palette(picture))
    grey = grey or any(_raw_mode(tile.args) == "LA;16B" for tile in getattr(picture, "tile", ()))
    return (height, width), not grey, picture.has_transparency_data, picture.mode, picture.format or "unknown"


def _grey_palette(picture: Image.Image) -> bool:
    if picture.palette is None:
        return False
    order, raw = picture.palette.getdata()
    table = np.frombuffer(bytes(raw), np.uint8)
    if order.endswith(";L"):
        table = table[: len(table) // 3 * 3].reshape(3, -1).T
    else:
        width = len(order.partition(";")[0])
        table = table[: len(table) // width * width].reshape(-1, width)[:, :3]
    return bool((table == table[:, :1]).all())


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Decode in here: decoders' warnings are silenced, and their many errors become RefusedError.

    Raises:
        OpsinError: Pillow was told, by whatever program this is part of, to pass truncated files off as whole.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise OpsinError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is switched on by another part of this program, so that truncated "
            "pictures would pass for whole ones; set it to False before Opsin reads images"
        )
    try:
        with silence:
            yield
    except (RefusedError, OpsinError):
        raise
    except MemoryError:
        raise RefusedError("there is not enough memory to decode it") from None
    except Exception as error:  # decoders raise whatever they like on damaged input
        raise RefusedError(_reason(error)) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "the file is truncated"
    return f"it is damaged ({text[:160]})" if text else f"it is damaged ({type(error).__name__})"
