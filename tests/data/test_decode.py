from __future__ import annotations

import io
import pickle
import struct
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFile, TiffImagePlugin

from opsin.data import decode as decode_module
from opsin.data import formats
from opsin.data.decode import Decoded, UnreadableImage, decode, from_array, from_pil, probe_image
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(7)
COLOUR = RANDOM.integers(0, 256, (12, 17, 3), dtype=np.uint8)
SMOOTH = np.stack(
    [np.add.outer(np.arange(48), np.arange(64)), np.add.outer(2 * np.arange(48), np.arange(64)), np.full((48, 64), 90)],
    2,
).astype(np.uint8)
WRITERS = {
    "png": ("PNG", {}),
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive": ("JPEG", {"progressive": True}),
    "gif": ("GIF", {}),
    "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "tiff": ("TIFF", {}),
    "lzw tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": ("BMP", {}),
    "ppm": ("PPM", {}),
    "jpeg2000": ("JPEG2000", {}),
    "avif": ("AVIF", {}),
    "ico": ("ICO", {}),
    "qoi": ("QOI", {}),
    "pcx": ("PCX", {}),
}
LOSSLESS = ("png", "lossless webp", "tiff", "lzw tiff", "deflate tiff", "bmp", "ppm", "qoi", "pcx")


def encoded(pixels: np.ndarray | Image.Image, form: str = "PNG", **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def written(name: str) -> bytes:
    form, options = WRITERS[name]
    return encoded(SMOOTH, form, **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(values: np.ndarray, *extra: bytes) -> bytes:
    """A 16-bit PNG of uint16 (h, w, c), which Pillow itself writes for grey only."""
    height, width, channels = values.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(values: np.ndarray, order: str = "<", photometric: int = 1, sample_format: int | None = None) -> bytes:
    """An uncompressed TIFF of (h, w) or (h, w, c), any byte order and sample type."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    kinds = {"u": 1, "i": 2, "f": 3}
    depth = values.dtype.itemsize * 8
    bits = struct.pack(f"{order}{channels}H", *[depth] * channels)
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, depth if channels == 1 else 8), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, 16), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data)),
        (339, 3, 1, sample_format or kinds[values.dtype.kind]),
    ]  # fmt: skip
    body = bits.ljust(8, b"\0") + data
    start = 8 + len(body) + len(body) % 2
    entries = b""
    for tag, kind, count, value in tags:
        packed = struct.pack(f"{order}H2x", value) if kind == 3 and count == 1 else struct.pack(f"{order}I", value)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + packed
    magic = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    table = struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0"
    return magic + body + b"\0" * (len(body) % 2) + table


def rescaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((values.astype(np.float64) - low) * 255 / (high - low)).astype(np.uint8)


# --- lossless round trips ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([1, 2, 3, 4]), st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_png_is_read_back_exactly(channels: int, height: int, width: int, random: object) -> None:
    pixels = np.random.default_rng(random.getrandbits(32)).integers(0, 256, (height, width, channels), dtype=np.uint8)
    mode = ("L", "LA", "RGB", "RGBA")[channels - 1]
    found = decode(encoded(pixels[..., 0] if channels == 1 else pixels), mode)
    assert np.array_equal(found.pixels, pixels)
    assert (found.mode, found.source_mode, found.size, found.frames, found.window) == (
        mode,
        mode,
        (height, width),
        1,
        None,
    )


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_are_exact(name: str) -> None:
    assert np.array_equal(decode(written(name)).pixels, SMOOTH)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_read(name: str) -> None:
    found = decode(written(name))
    assert found.pixels.dtype == np.uint8
    assert found.pixels.flags.c_contiguous
    if name not in ("ico", "gif"):
        assert found.size == (48, 64)
        assert np.abs(found.pixels.astype(int) - SMOOTH).mean() < 6


def test_one_bit_becomes_black_and_white() -> None:
    bits = RANDOM.random((9, 13)) > 0.5
    assert np.array_equal(decode(encoded(Image.fromarray(bits)), "L").pixels[..., 0], bits * np.uint8(255))


def test_grey_becomes_colour_and_back_unchanged() -> None:
    grey = RANDOM.integers(0, 256, (8, 8), dtype=np.uint8)
    colour = decode(encoded(grey), "RGB")
    assert np.array_equal(colour.pixels, np.repeat(grey[..., None], 3, 2))
    assert np.array_equal(colour.as_mode("L").pixels[..., 0], grey)


# --- colour models and alpha ------------------------------------------------------------------------------------------


def cmyk(values: np.ndarray) -> np.ndarray:
    ink = values.astype(int)
    return ((255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255).round().astype(np.uint8)


def test_cmyk_tiff() -> None:
    inks = RANDOM.integers(0, 256, (6, 7, 4), dtype=np.uint8)
    found = decode(encoded(Image.frombytes("CMYK", (7, 6), inks.tobytes()), "TIFF"))
    assert found.source_mode == "CMYK"
    assert np.abs(found.pixels.astype(int) - cmyk(inks)).max() <= 1


FLAT_INK = np.zeros((16, 16, 4), np.uint8) + np.array([200, 40, 90, 30], np.uint8)


def test_cmyk_jpeg_is_inverted_exactly_when_it_carries_the_adobe_marker() -> None:
    data = encoded(Image.frombytes("CMYK", (16, 16), FLAT_INK.tobytes()), "JPEG", quality=100)
    assert np.abs(decode(data).pixels.astype(int) - cmyk(FLAT_INK)).max() <= 3
    at = data.index(b"\xff\xee")
    unmarked = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
    assert np.abs(decode(unmarked).pixels.astype(int) - cmyk(255 - FLAT_INK)).max() <= 3


def test_ycck_jpeg() -> None:
    # YCbCr holds 255 minus the stored CMY, and Adobe stores 255 minus the ink: so it holds the inks. Written as plain
    # CMYK and marked as YCCK (transform 2 of Adobe's marker) the file is one.
    inks = np.asarray(Image.fromarray(FLAT_INK[..., :3]).convert("YCbCr"))
    stored = np.concatenate([inks, 255 - FLAT_INK[..., 3:]], axis=2)
    data = bytearray(encoded(Image.frombytes("CMYK", (16, 16), (255 - stored).tobytes()), "JPEG", quality=100))
    at = data.index(b"\xff\xee")
    assert data[at + 4 : at + 9] == b"Adobe"
    assert data[at + 15] == 0
    data[at + 15] = 2
    assert np.abs(decode(bytes(data)).pixels.astype(int) - cmyk(FLAT_INK)).max() <= 4


def test_palette_with_alpha_is_laid_on_white() -> None:
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 2])
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    data = encoded(image, transparency=bytes([0, 128, 255]))
    found = decode(data)
    assert found.source_mode == "P"
    assert found.pixels.tolist() == [[[255, 255, 255], [127, 255, 127], [0, 0, 255]]]
    assert decode(data, "RGBA").pixels.tolist() == [[[255, 0, 0, 0], [0, 255, 0, 128], [0, 0, 255, 255]]]


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.uint8, (3, 4, 4)))
def test_alpha_on_white_is_the_exact_blend(pixels: np.ndarray) -> None:
    share = pixels[..., 3:].astype(np.float64) / 255
    blend = pixels[..., :3] * share + 255 * (1 - share)
    for found in (decode(encoded(pixels)), from_array(pixels), from_pil(Image.fromarray(pixels))):
        assert np.abs(found.pixels - blend).max() <= 0.5 + 1e-9
        assert "transparency laid on white" in found.notes


def test_single_transparent_colours() -> None:
    grey = encoded(np.array([[10, 20]], np.uint8), transparency=20)
    assert decode(grey, "L").pixels[..., 0].tolist() == [[10, 255]]
    colour = encoded(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), transparency=(4, 5, 6))
    assert decode(colour).pixels.tolist() == [[[1, 2, 3], [255, 255, 255]]]
    deep = png16(np.array([[[0], [300], [65535]]]), chunk(b"tRNS", struct.pack(">H", 300)))
    assert decode(deep, "L").pixels[..., 0].tolist() == [[0, 255, 255]]
    values = np.array([[[0, 0, 65535], [7, 8, 300], [7, 8, 301]]])
    found = decode(png16(values, chunk(b"tRNS", struct.pack(">HHH", 7, 8, 300))), "RGBA")
    assert found.pixels[0, :, 3].tolist() == [255, 0, 255]


@pytest.mark.parametrize("mode", ["LAB", "YCbCr", "HSV", "RGBX", "RGBa", "La", "PA", "LA", "I", "F", "I;16", "I;16B"])
@pytest.mark.parametrize("wanted", ["L", "LA", "RGB", "RGBA"])
def test_every_pillow_mode_is_accepted(mode: str, wanted: str) -> None:
    found = from_pil(Image.new(mode, (5, 4)), wanted)
    assert found.pixels.shape == (4, 5, {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[wanted])
    assert found.source_mode == mode


# --- more than eight bits ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_sixteen_bit_grey_keeps_its_order_and_range(values: np.ndarray) -> None:
    found = decode(encoded(values), "L")
    low, high = int(values.min()), int(values.max())
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(found.pixels.ravel()[order].astype(int)) >= 0).all()
    if low < high:
        assert found.window == (low, high)
        assert np.array_equal(found.pixels[..., 0], rescaled(values, low, high))
    else:
        assert found.window == (0, 65535)
    for other in (tiff(values), tiff(values, ">"), encoded(values, "TIFF", compression="tiff_lzw")):
        assert np.array_equal(decode(other, "L").pixels, found.pixels)
    for same in (
        from_array(values, "L"),
        from_pil(Image.fromarray(values), "L"),
        from_array(values.astype(">u2"), "L"),
    ):
        assert np.array_equal(same.pixels, found.pixels)
        assert same.window == found.window


def test_twelve_bits_in_sixteen_use_all_of_eight() -> None:
    values = np.linspace(0, 4095, 4096).astype(np.uint16).reshape(64, 64)
    found = decode(encoded(values), "L")
    assert len(np.unique(found.pixels)) == 256
    assert found.window == (0, 4095)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u2", "i2", "i4", "f4", "i1"])
def test_deep_and_signed_tiff(kind: str, order: str) -> None:
    values = np.array([[-100, 0, 27, 100]]) if kind[0] != "u" else np.array([[3, 200, 900, 65000]])
    found = decode(tiff(values.astype(kind), order), "L")
    low, high = values.min(), values.max()
    assert found.window == (low, high)
    assert np.array_equal(found.pixels[..., 0], rescaled(values, low, high))


def test_unsigned_32_bit_tiff_keeps_its_order() -> None:
    values = np.array([[0, 2**31 - 1, 2**31, 2**32 - 1]], np.uint32)
    found = decode(tiff(values), "L")
    assert found.window == (0, 2**32 - 1)
    assert found.pixels[0, :, 0].tolist() == [0, 128, 128, 255] or found.pixels[0, :, 0].tolist() == [0, 127, 128, 255]


def test_white_is_zero_tiff_is_inverted() -> None:
    values = np.array([[0, 1000, 5000]], np.uint16)
    found = decode(tiff(values, photometric=0), "L")
    assert found.pixels[0, :, 0].tolist() == [255, 204, 0]
    assert found.window == (0, 5000)
    assert decode(tiff(values.astype(np.uint8), photometric=0), "L").pixels[0, 0, 0] == 255


def test_float_tiff_with_holes() -> None:
    values = np.array([[np.nan, -np.inf, 0.25, 0.5, 0.75, np.inf]], np.float32)
    found = decode(tiff(values), "L")
    assert found.window == (0.25, 0.75)
    assert found.pixels[0, :, 0].tolist() == [0, 0, 0, 128, 255, 255]
    assert not decode(tiff(np.full((2, 2), np.nan, np.float32))).pixels.any()


@settings(deadline=None, max_examples=40)
@given(
    hnp.arrays(np.uint16, st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([3, 4]))), st.integers(0, 8)
)
def test_sixteen_bit_colour_is_read_from_all_its_bits(values: np.ndarray, shift: int) -> None:
    values = values.copy()
    values[..., :3] >>= shift
    high = 2 ** max(8, int(values[..., :3].max()).bit_length()) - 1
    expected = rescaled(values[..., :3], 0, high)
    mode = "RGB" if values.shape[2] == 3 else "RGBA"
    found = decode(png16(values), mode)
    assert found.window == (0, high)
    assert np.array_equal(found.pixels[..., :3], expected)
    if mode == "RGBA":
        assert np.array_equal(found.pixels[..., 3], rescaled(values[..., 3], 0, 65535))
    else:
        for order in "<>":
            assert np.array_equal(decode(tiff(values, order, photometric=2)).pixels, expected)
    assert np.array_equal(from_array(values, mode).pixels, found.pixels)


def test_sixteen_bit_grey_with_alpha() -> None:
    values = np.array([[[0, 65535], [40000, 65535], [50000, 0]]], np.uint16)
    assert decode(png16(values), "LA").pixels.tolist() == [[[0, 255], [204, 255], [255, 0]]]
    assert decode(png16(values), "L").pixels[..., 0].tolist() == [[0, 204, 255]]
    assert not probe_image(png16(values)).colour


def test_compressed_sixteen_bit_colour_tiff() -> None:
    values = RANDOM.integers(0, 65536, (40, 70, 3), dtype=np.uint16)
    for order in "<>":
        out = io.BytesIO()
        tifffile.imwrite(out, values, byteorder=order, compression="zlib", photometric="rgb", predictor=True)
        assert np.array_equal(decode(out.getvalue()).pixels, rescaled(values, 0, 65535))


# --- EXIF, frames -----------------------------------------------------------------------------------------------------

UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, 1),
}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(UPRIGHT)),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})]),
)
def test_exif_orientation_equals_transposed_pixels(turn: int, height: int, width: int, form: tuple[str, dict]) -> None:
    pixels = np.random.default_rng(height * 13 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(pixels, form[0], exif=exif, **form[1])
    expected = UPRIGHT[turn](pixels)
    assert np.array_equal(decode(data).pixels, expected)
    assert decode(data).size == expected.shape[:2]
    assert probe_image(data).size == expected.shape[:2]
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(from_pil(image).pixels, expected)


@pytest.mark.parametrize("turn", range(2, 9))
def test_exif_orientation_of_jpeg_and_of_deep_tiff(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    plain = decode(encoded(SMOOTH, "JPEG")).pixels
    assert np.array_equal(decode(encoded(SMOOTH, "JPEG", exif=exif)).pixels, UPRIGHT[turn](plain))
    deep = RANDOM.integers(0, 65536, (3, 5), dtype=np.uint16)
    found = decode(encoded(deep, "TIFF", exif=exif), "L")
    assert np.array_equal(found.pixels, UPRIGHT[turn](from_array(deep, "L").pixels))


@pytest.mark.parametrize("value", [0, 9, 200])
def test_impossible_orientations_are_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(decode(encoded(COLOUR, exif=exif)).pixels, COLOUR)


def test_damaged_exif_costs_neither_the_picture_nor_a_warning() -> None:
    damaged = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\xff\xff\xff\xff\x99\x99\x99\x99\x12\x01"
    assert decode(encoded(SMOOTH, "JPEG", exif=damaged)).size == (48, 64)
    assert decode(encoded(SMOOTH, "PNG", exif=b"Exif\0\0garbage")).size == (48, 64)


@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_animations_and_pages_give_the_first(form: str, options: dict[str, object]) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    found = decode(data)
    assert found.frames == 3
    assert "the first of 3 frames" in found.notes
    assert (found.pixels == [255, 0, 0]).all()


def test_a_pil_image_gives_its_current_frame_and_stays_as_it_was() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime")]
    with Image.open(io.BytesIO(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))) as image:
        image.seek(1)
        assert (from_pil(image).pixels == [0, 255, 0]).all()
        assert image.tell() == 1


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, this is a note about images\n", "text, not an image"),
        ("白い花".encode() * 300, "text, not an image"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x93NUMPY\x01\0", "NumPy"),
        (b"\xff\xd8\xff", "JPEG file is damaged"),
        (b"\x89PNG\r\n\x1a\n", "PNG file is damaged"),
        (bytes(range(128, 256)), "none of the formats"),
        (b"\0\0\0\x18ftypheic", "damaged"),
    ],
)
def test_what_is_no_image_says_what_it_is(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_truncated_files_are_refused_or_complete(name: str) -> None:
    data = written(name)
    whole = decode(data).pixels
    refused = 0
    for length in {*range(1, len(data), max(1, len(data) // 40)), len(data) - 1, len(data) - 2}:
        try:
            found = decode(data[:length]).pixels
        except UnreadableImage:
            refused += 1
        else:
            assert np.array_equal(found, whole), f"{length} of {len(data)} bytes"
    assert refused > 20


def test_truncated_files_are_refused_even_where_pillow_was_told_to_accept_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(OpsinError, match="LOAD_TRUNCATED_IMAGES"):
        decode(written("jpeg"))


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.sampled_from(["", *WRITERS, "deep", "heic", "dicom"]))
def test_any_bytes_are_an_image_or_unreadable(data: bytes, name: str) -> None:
    head = {
        "": b"", "deep": png16(np.ones((2, 2, 3), np.uint16))[:60], "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "dicom": bytes(128) + b"DICM",
    }  # fmt: skip
    start = head[name] if name in head else written(name)[:40]
    read_or_refused(start + data)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(WRITERS)), st.data())
def test_flipped_bits_give_an_image_or_unreadable(name: str, data: st.DataObject) -> None:
    file = bytearray(written(name))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.one_of(st.integers(0, min(200, len(file) - 1)), st.integers(0, len(file) - 1)))
        file[at] ^= 1 << data.draw(st.integers(0, 7))
    read_or_refused(bytes(file))


def read_or_refused(data: bytes) -> None:
    for read in (decode, probe_image):
        try:
            found = read(data)
        except UnreadableImage as caught:
            error = caught
        else:
            assert min(found.size) >= 1
            assert not isinstance(found, Decoded) or found.pixels.shape == (*found.size, 3)
            continue
        assert error.reason
        assert len(str(error).splitlines()) == 1


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(20_000, 20_000), (16_000, 12_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    for read in (decode, probe_image):
        with pytest.raises(UnreadableImage, match=r"it claims .*pixels"):
            read(bomb(*size))


def test_the_limit_is_opsins_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(UnreadableImage, match="20,000 x 20,000"):
        decode(bomb(20_000, 20_000))
    monkeypatch.setattr(formats, "MAX_PIXELS", 17 * 12 - 1)
    with pytest.raises(UnreadableImage, match="17 x 12"):
        decode(encoded(COLOUR))


def test_large_pictures_below_the_limit_give_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
    with pytest.warns(Image.DecompressionBombWarning):  # the plant: Pillow does warn about this one
        Image.open(io.BytesIO(encoded(COLOUR))).close()
    assert decode(encoded(COLOUR)).size == (12, 17)


@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000), (1, 1)])
def test_slivers_are_images(size: tuple[int, int]) -> None:
    assert decode(encoded(Image.new("RGB", size))).size == (size[1], size[0])


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(encoded(COLOUR))
    assert np.array_equal(decode(path).pixels, COLOUR)
    assert np.array_equal(decode(str(path)).pixels, COLOUR)
    assert probe_image(path).format == "PNG"


def test_paths_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableImage, match="no such file") as caught:
        decode(tmp_path / "gone.png")
    assert caught.value.path == str(tmp_path / "gone.png")
    with pytest.raises(UnreadableImage, match="folder"):
        decode(tmp_path)
    with pytest.raises(UnreadableImage):
        decode("bad\0name.png")
    (tmp_path / "large.png").write_bytes(encoded(COLOUR))
    monkeypatch.setattr(decode_module, "MAX_BYTES", 10)
    with pytest.raises(UnreadableImage, match="more than the 10"):
        decode(tmp_path / "large.png")


def test_the_error_survives_another_process() -> None:
    error = pickle.loads(pickle.dumps(UnreadableImage("a.png", "it is text")))
    assert (error.path, error.reason, str(error)) == (
        "a.png",
        "it is text",
        "a.png cannot be read as an image: it is text",
    )


@pytest.mark.parametrize("mode", ["CMYK", "rgb", "", "P"])
def test_unknown_modes(mode: str) -> None:
    with pytest.raises(OpsinError, match="expected one of L, LA, RGB, RGBA"):
        decode(encoded(COLOUR), mode)


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros((2, 2), np.float32), np.zeros((2, 2), np.int64)])
def test_arrays_of_other_types_are_refused(array: np.ndarray) -> None:
    with pytest.raises(OpsinError, match=f"array of {array.dtype}.*uint8"):
        from_array(array)


@pytest.mark.parametrize("shape", [(3,), (3, 8, 8), (0, 4), (4, 0, 3), (1, 2, 3, 4), (2, 2, 5)])
def test_arrays_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(OpsinError, match="expected \\(h, w\\)"):
        from_array(np.zeros(shape, np.uint8))


# --- one door ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["L", "LA", "RGB", "RGBA"]), st.sampled_from([1, 2, 3, 4]), st.integers(0, 2**32 - 1))
def test_path_pil_and_array_give_the_same_pixels(mode: str, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, channels), dtype=np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    first = decode(encoded(pixels), mode)
    for other in (
        from_pil(Image.fromarray(pixels), mode),
        from_array(pixels, mode),
        decode(encoded(pixels, "TIFF"), mode),
    ):
        assert np.array_equal(other.pixels, first.pixels)
        assert (other.source_mode, other.size, other.window) == (first.source_mode, first.size, first.window)


def test_true_is_white() -> None:
    assert from_array(np.array([[True, False]]), "L").pixels[..., 0].tolist() == [[255, 0]]


@pytest.mark.parametrize(
    ("data", "colour", "alpha"),
    [
        (encoded(COLOUR), True, False),
        (encoded(COLOUR[..., 0]), False, False),
        (encoded(COLOUR[..., :2]), False, True),
        (encoded(Image.fromarray(COLOUR).convert("1")), False, False),
        (encoded(Image.fromarray(COLOUR).quantize(8)), True, False),
        (encoded(Image.fromarray(COLOUR).quantize(8), "TIFF"), True, False),
        (encoded(COLOUR, "JPEG"), True, False),
        (encoded(np.ones((2, 2), np.uint16)), False, False),
    ],
)
def test_the_header_tells_colour_and_alpha(data: bytes, colour: bool, alpha: bool) -> None:
    info = probe_image(data)
    assert (info.colour, info.alpha) == (colour, alpha)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_a_palette_of_greys_is_grey(form: str) -> None:
    image = Image.fromarray(COLOUR[..., 0])
    palette = Image.new("P", image.size)
    palette.putdata(list(image.tobytes()))
    palette.putpalette([value for level in range(256) for value in (level,) * 3])
    assert not probe_image(encoded(palette, form)).colour
    assert np.array_equal(decode(encoded(palette, form), "L").pixels[..., 0], COLOUR[..., 0])


def test_nothing_global_is_changed() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    decode(written("jpeg"))
    with pytest.raises(UnreadableImage):
        decode(b"nothing")
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))


def test_many_threads_read_the_same_pixels_and_leave_no_filter() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\xff\xff\xff\xff\x99\x99\x99\x99\x12\x01"
    files = [written(name) for name in WRITERS] + [encoded(SMOOTH, "JPEG", exif=exif)]
    expected = [decode(data).pixels for data in files]
    filters = list(warnings.filters)
    barrier = threading.Barrier(8)

    def work(start: int) -> bool:
        barrier.wait()
        turns = [(start + at) % len(files) for at in range(len(files))]
        return all(np.array_equal(decode(files[at]).pixels, expected[at]) for at in turns)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert list(warnings.filters) == filters


# --- extras -----------------------------------------------------------------------------------------------------------


def heic(pixels: np.ndarray, turn: int | None = None) -> bytes:
    exif = Image.Exif()
    if turn:
        exif[0x0112] = turn
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(out, quality=100, exif=exif.tobytes())
    return out.getvalue()


def test_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)  # other libraries register it for the whole process
    found = decode(heic(SMOOTH))
    assert found.size == (48, 64)
    assert np.abs(found.pixels.astype(int) - SMOOTH).mean() < 3
    turned = decode(heic(SMOOTH, 6))
    assert turned.size == (64, 48) == probe_image(heic(SMOOTH, 6)).size
    assert np.abs(turned.pixels.astype(int) - UPRIGHT[6](SMOOTH)).mean() < 3
    assert "HEIF" not in Image.OPEN
    for length in (40, 500, len(heic(SMOOTH)) - 20):
        with pytest.raises(UnreadableImage):
            decode(heic(SMOOTH)[:length])


@pytest.mark.parametrize(("package", "extra"), [("pillow_heif", "heic"), ("pydicom", "dicom")])
def test_a_missing_extra_is_named(package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    data = bytes(128) + b"DICM" if extra == "dicom" else b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    for read in (decode, probe_image):
        with pytest.raises(UnreadableImage, match=rf'pip install "opsin\[{extra}\]"'):
            read(data)


def test_tiff_of_the_test_is_a_tiff() -> None:
    with Image.open(io.BytesIO(tiff(np.ones((2, 3), np.uint16)))) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
