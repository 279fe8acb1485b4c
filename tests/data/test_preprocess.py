from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from opsin.data.decode import decode, from_array, from_pil
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(3)
MODES = ("L", "LA", "RGB", "RGBA")
FITS = ("crop", "pad", "stretch")
FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)


@st.composite
def preprocesses(draw: st.DrawFn, largest: int = 40) -> Preprocess:
    channels = draw(st.integers(1, 4))
    fit = draw(st.sampled_from(FITS))
    values = st.floats(-2, 2, allow_nan=False)
    return Preprocess(
        mode=MODES[channels - 1],
        height=draw(st.integers(1, largest)),
        width=draw(st.integers(1, largest)),
        fit=fit,
        crop=draw(st.floats(0.1, 1)) if fit == "crop" else 1.0,
        interpolation=draw(st.sampled_from(FILTERS)),
        mean=tuple(draw(st.lists(values, min_size=channels, max_size=channels))),
        std=tuple(draw(st.lists(st.floats(0.01, 3), min_size=channels, max_size=channels))),
    )


# --- the description --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(preprocesses())
def test_json_round_trip(preprocess: Preprocess) -> None:
    for mode in ("json", "python"):
        dumped = preprocess.model_dump(mode=mode)
        assert Preprocess.load(json.loads(json.dumps(dumped))) == preprocess
    assert Preprocess.model_validate_json(preprocess.model_dump_json()) == preprocess


def test_simple() -> None:
    grey = Preprocess.simple(channels=1, size=(28, 20))
    assert (grey.mode, grey.height, grey.width, grey.mean, grey.std, grey.channels) == ("L", 28, 20, (0.5,), (0.5,), 1)
    assert Preprocess.simple(4, 8, mean=0, std=1).mode == "RGBA"


GOOD = {"mode": "RGB", "height": 8, "width": 8, "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mode": "CMYK"}, r"mode='CMYK'.*'L', 'LA', 'RGB' or 'RGBA'"),
        ({"height": 0}, "height=0.*greater than or equal to 1"),
        ({"width": 10**9}, "width=1000000000.*less than or equal to"),
        ({"mean": [0.5]}, "mean has 1 values, expected 3: one per channel of RGB"),
        ({"std": [0.5, 0.5]}, "std has 2 values, expected 3"),
        ({"std": [0.5, 0.0, 0.5]}, "std has a value of 0"),
        ({"std": [0.5, float("nan"), 0.5]}, "std.*finite"),
        ({"mean": [0.5, float("inf"), 0.5]}, "mean.*finite"),
        ({"mean": "grey"}, "mean='grey'"),
        ({"crop": 0.0}, "crop=0.0.*greater than 0"),
        ({"crop": 1.1}, "crop=1.1.*less than or equal to 1"),
        ({"crop": 0.9, "fit": "pad"}, "crop=0.9 has no effect with fit='pad'"),
        ({"interpolation": "area"}, "interpolation='area'.*'nearest', 'bilinear'"),
        ({"size": 3}, "no setting size; expected mode, height, width"),
        ({"height": None}, "height=None"),
    ],
)
def test_a_wrong_setting_is_one_readable_line(change: dict[str, object], says: str) -> None:
    for make in (Preprocess.load, lambda values: Preprocess(**values)):
        with pytest.raises(OpsinError, match=says) as caught:
            make({**GOOD, **change})
        assert "\n" not in str(caught.value)
        assert "pydantic" not in str(caught.value)


def test_a_missing_setting_and_another_type() -> None:
    with pytest.raises(OpsinError, match="lacks mean; expected mode, height"):
        Preprocess.load({name: value for name, value in GOOD.items() if name != "mean"})
    with pytest.raises(OpsinError, match="str; expected a mapping"):
        Preprocess.load("{}")  # type: ignore[arg-type]
    with pytest.raises(OpsinError, match="5 channels"):
        Preprocess.simple(5)


def test_frozen_and_equal() -> None:
    preprocess = Preprocess.load(GOOD)
    assert preprocess == Preprocess.load(GOOD)
    assert hash(preprocess) == hash(Preprocess.load(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        preprocess.height = 3  # type: ignore[misc]


def test_the_key_tells_apart_what_changes_pixels() -> None:
    base = Preprocess.load(GOOD)
    changes = [
        {"mode": "L", "mean": [0.5], "std": [0.5]}, {"height": 9}, {"width": 9}, {"fit": "pad"}, {"fit": "stretch"},
        {"crop": 0.875}, {"crop": 0.8750001}, {"interpolation": "bicubic"},
    ]  # fmt: skip
    keys = [Preprocess.load({**GOOD, **change}).pixel_key() for change in changes]
    assert len({base.pixel_key(), *keys}) == len(changes) + 1
    assert Preprocess.load({**GOOD, "mean": [0.1] * 3, "std": [2.0] * 3}).pixel_key() == base.pixel_key()
    assert all(Path(key).name == key and key.isascii() for key in keys)


# --- pixels -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(preprocesses(), st.integers(1, 60), st.integers(1, 60), st.integers(1, 4))
def test_pixels_have_the_shape_and_are_one_s_own(
    preprocess: Preprocess, height: int, width: int, channels: int
) -> None:
    picture = noise(height, width, channels)
    found = preprocess.pixels(from_array(picture, preprocess.mode))
    assert found.shape == (preprocess.height, preprocess.width, preprocess.channels)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    assert found.flags.c_contiguous
    assert not np.shares_memory(found, picture)
    top, left, bottom, right = preprocess.geometry((height, width))
    assert bottom > top
    assert right > left
    if preprocess.fit == "pad":
        assert top <= 0 < height <= bottom + 1e-9
        assert left <= 0 < width <= right + 1e-9
    else:
        assert 0 <= top < bottom <= height
        assert 0 <= left < right <= width


@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000), (1, 1), (2, 9_999)])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", FILTERS)
def test_slivers(size: tuple[int, int], fit: str, interpolation: str) -> None:
    preprocess = Preprocess.load({**GOOD, "height": 224, "width": 224, "fit": fit, "interpolation": interpolation})
    found = preprocess.pixels(from_array(np.full((*size, 3), 200, np.uint8)))
    assert found.shape == (224, 224, 3)
    assert set(np.unique(found)) == ({0, 200} if fit == "pad" and size != (1, 1) else {200})


def test_a_picture_of_the_right_size_is_unchanged() -> None:
    picture = noise(8, 8)
    for fit in FITS:
        for interpolation in FILTERS:
            preprocess = Preprocess.load({**GOOD, "fit": fit, "interpolation": interpolation})
            assert np.array_equal(preprocess.pixels(from_array(picture)), picture)
            assert preprocess.geometry((8, 8)) == (0, 0, 8, 8)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(20, 90), st.integers(20, 90), st.sampled_from([16, 24, 33]), st.sampled_from([1.0, 0.95, 0.875, 0.5]),
    st.sampled_from(["bilinear", "bicubic"]),
)  # fmt: skip
def test_crop_is_torchvision_s_resize_and_centre_crop(
    height: int, width: int, size: int, crop: float, interpolation: str
) -> None:
    picture = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    preprocess = Preprocess.load({**GOOD, "height": size, "width": size, "crop": crop, "interpolation": interpolation})
    reference = v2.Compose([v2.Resize(round(size / crop), v2.InterpolationMode(interpolation)), v2.CenterCrop(size)])
    expected = np.asarray(reference(Image.fromarray(picture))).astype(int)
    difference = np.abs(preprocess.pixels(from_array(picture)) - expected)
    # Pillow keeps the box in single precision, so a value may fall to the other side of a half, once in each of the two
    # passes: nearly never in both. It also picks the cheaper of two orders of passes, and the bicubic filter's
    # overshoot is cut off between them.
    if interpolation == "bilinear":
        assert difference.max() <= 2
        assert np.mean(difference > 1) <= 0.005
    else:
        assert difference.mean() < 0.6


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    for fit in FITS:
        found = Preprocess.load({**GOOD, "fit": fit}).pixels(from_array(stripes))
        assert np.abs(found.astype(int) - 128).max() < 20


def test_pad_centres_the_whole_picture_on_black() -> None:
    found = Preprocess.load({**GOOD, "fit": "pad"}).pixels(from_array(np.full((4, 16, 3), 255, np.uint8)))
    assert (found[3:5] == 255).all()
    assert not found[:3].any()
    assert not found[5:].any()
    clear = Preprocess.simple(4, 8).model_copy(update={"fit": "pad"}).pixels(from_array(noise(4, 8, 3), "RGBA"))
    assert not clear[0].any()


def test_colours_of_transparent_pixels_do_not_bleed() -> None:
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:, :4] = [255, 0, 0, 255]
    picture[:, 4:] = [0, 255, 0, 0]
    found = Preprocess.simple(4, 2).model_copy(update={"fit": "stretch"}).pixels(from_array(picture, "RGBA"))
    assert (found[..., 1] == 0).all()


@settings(deadline=None, max_examples=40)
@given(preprocesses(), st.integers(1, 30), st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_path_pil_and_array_give_the_same_input(
    preprocess: Preprocess, height: int, width: int, channels: int, seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    image = Image.fromarray(picture[..., 0] if channels == 1 else picture)
    out = io.BytesIO()
    image.save(out, "PNG")
    first = preprocess.pixels(decode(out.getvalue(), preprocess.mode))
    for other in (from_pil(image, preprocess.mode), from_array(picture, preprocess.mode)):
        assert np.array_equal(preprocess.pixels(other), first)


def test_a_picture_in_another_mode_is_brought_over() -> None:
    picture = from_array(noise(8, 8, 3), "RGB")
    assert np.array_equal(Preprocess.simple(1, 8).pixels(picture), picture.as_mode("L").pixels)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(37, 61), (61, 37), (16, 16), (300, 20)])
def test_geometry_is_where_the_pixels_came_from(fit: str, size: tuple[int, int]) -> None:
    rows, columns = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    picture = np.stack([rows * 255 / size[0], columns * 255 / size[1], np.zeros(size)], 2).astype(np.uint8)
    preprocess = Preprocess.load({**GOOD, "height": 16, "width": 24, "fit": fit, "crop": 0.8 if fit == "crop" else 1})
    found = preprocess.pixels(from_array(picture)).astype(float)
    top, left, bottom, right = preprocess.geometry(size)
    middle_row = top + (np.arange(16) + 0.5) * (bottom - top) / 16
    middle_column = left + (np.arange(24) + 0.5) * (right - left) / 24
    inner_rows = (middle_row > size[0] * 0.1) & (middle_row < size[0] * 0.9)
    inner_columns = (middle_column > size[1] * 0.1) & (middle_column < size[1] * 0.9)
    step = 3 * 255 / min(size) + 2
    seen_rows = found[..., 0][:, inner_columns][inner_rows]
    seen_columns = found[..., 1][:, inner_columns][inner_rows]
    assert seen_rows.size
    assert np.abs(seen_rows - (middle_row[inner_rows] * 255 / size[0])[:, None]).max() < step
    assert np.abs(seen_columns - (middle_column[inner_columns] * 255 / size[1])).max() < step


# --- normalise --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(preprocesses(), st.integers(0, 3))
def test_normalise_is_the_formula_and_denormalise_its_inverse(preprocess: Preprocess, count: int) -> None:
    channels = preprocess.channels
    pixels = RANDOM.integers(0, 256, (count, 5, 7, channels), dtype=np.uint8)
    expected = (pixels / 255.0 - np.array(preprocess.mean)) / np.array(preprocess.std)
    tolerance = 1e-6 * (1 + 3 / np.array(preprocess.std)).max()
    frozen = pixels.copy()
    frozen.flags.writeable = False
    turned = np.ascontiguousarray(pixels[:, :, ::-1])[:, :, ::-1]
    tensor = torch.from_numpy(pixels)
    crooked = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).permute(0, 2, 3, 1)
    for given_pixels in (pixels, frozen, turned, tensor, crooked):
        found = preprocess.normalise(given_pixels)
        assert found.dtype == torch.float32
        assert found.shape == (count, channels, 5, 7)
        assert np.abs(found.permute(0, 2, 3, 1).numpy() - expected).max(initial=0) <= tolerance
    assert np.array_equal(preprocess.denormalise(preprocess.normalise(pixels)), pixels)


def test_normalise_leaves_its_input_alone() -> None:
    pixels = noise(4, 4)[None]
    before = pixels.copy()
    Preprocess.load(GOOD).normalise(pixels).zero_()
    assert np.array_equal(pixels, before)


def test_every_value_survives_normalising() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    preprocess = Preprocess.load({**GOOD, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]})
    assert np.array_equal(preprocess.denormalise(preprocess.normalise(values)), values)


def test_normalise_takes_a_read_only_memory_map(tmp_path: Path) -> None:
    pixels = noise(4, 4)[None]
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    assert torch.equal(Preprocess.load(GOOD).normalise(mapped), Preprocess.load(GOOD).normalise(pixels))


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 1), np.uint8), np.zeros((1, 4, 4, 3)), torch.zeros(1, 4, 4, 3)],
)
def test_normalise_refuses_what_it_cannot_take(pixels: np.ndarray | torch.Tensor) -> None:
    with pytest.raises(OpsinError, match=r"expected uint8 \(n, height, width, 3\)"):
        Preprocess.load(GOOD).normalise(pixels)


def test_denormalise_clips_and_refuses() -> None:
    preprocess = Preprocess.load(GOOD)
    wild = torch.tensor([float("nan"), float("inf"), -float("inf"), 99.0])[None, None, None].expand(1, 3, 1, 4)
    assert preprocess.denormalise(wild)[0, 0, :, 0].tolist() == [0, 255, 0, 255]
    with pytest.raises(OpsinError, match=r"expected \(n, 3, height, width\)"):
        preprocess.denormalise(torch.zeros(1, 4, 4, 3))
