from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opsin.data.images import decode_each, each_image, find_images, natural_key, open_each, shrunk
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(5)
PLAIN = Preprocess.simple(3, (6, 8))


def open_images(images, preprocess):
    """What a person gives as images, as the network sees it."""
    return open_each(each_image(images), preprocess)


def picture(level: int, size: tuple[int, int] = (6, 8)) -> Image.Image:
    return Image.new("RGB", (size[1], size[0]), (level, level, level))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, level in {"2.png": 2, "10.png": 10, "b/1.png": 101, "a/3.jpg": 60, "a/b/c.bmp": 30}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture(level).save(tmp_path / name)
    (tmp_path / "readme.txt").write_text("words")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / ".cache").mkdir()
    picture(1).save(tmp_path / ".cache" / "x.png")
    picture(77).save(tmp_path / "named.txt", "PNG")
    return tmp_path


def test_a_folder_is_searched_in_natural_order(folder: Path) -> None:
    pixels, names, unreadable = open_images(folder, PLAIN)
    expected = ["2.png", "10.png", "a/3.jpg", "a/b/c.bmp", "b/1.png", "named.txt"]
    assert [Path(name).relative_to(folder).as_posix() for name in names] == expected
    assert pixels.shape == (6, 6, 8, 3)
    assert pixels[:, 0, 0, 0].tolist() == [2, 10, 60, 30, 101, 77]
    assert unreadable == ()
    assert [path.relative_to(folder).as_posix() for path in find_images(folder)] == expected


def test_one_or_many_of_everything_in_order(folder: Path) -> None:
    array = np.full((6, 8, 3), 9, np.uint8)
    data = io.BytesIO()
    picture(44).save(data, "PNG")
    pixels, names, _ = open_images(
        [
            str(folder / "b" / "1.png"),
            picture(5),
            array,
            folder / "2.png",
            np.stack([array + 1, array + 2]),
            data.getvalue(),
        ],
        PLAIN,
    )
    assert pixels[:, 0, 0, 0].tolist() == [101, 5, 9, 2, 10, 11, 44]
    assert names == (
        str(folder / "b" / "1.png"), "image 1", "image 2", str(folder / "2.png"), "image 4", "image 5", "image 6",
    )  # fmt: skip
    for single in (folder / "2.png", str(folder / "2.png"), picture(2), np.full((6, 8), 2, np.uint8)):
        assert open_images(single, PLAIN)[0][:, 0, 0, 0].tolist() == [2]


@pytest.mark.parametrize(
    ("shape", "count"),
    [((5, 7), 1), ((5, 7, 1), 1), ((5, 7, 3), 1), ((5, 7, 4), 1), ((3, 5, 7), 3), ((2, 5, 7, 1), 2), ((0, 5, 7, 3), 0)],
)
def test_array_shapes(shape: tuple[int, ...], count: int) -> None:
    pixels, names, unreadable = open_images(RANDOM.integers(0, 256, shape, dtype=np.uint8), PLAIN)
    assert pixels.shape == (count, 6, 8, 3)
    assert names == tuple(f"image {at}" for at in range(count))
    assert unreadable == ()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([1, 2, 3, 4]), st.sampled_from(["L", "LA", "RGB", "RGBA"]), st.integers(0, 2**32 - 1))
def test_path_pil_and_array_are_identical(tmp_path_factory: object, channels: int, mode: str, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (9, 11, channels), dtype=np.uint8)
    image = Image.fromarray(values[..., 0] if channels == 1 else values)
    path = tmp_path_factory.getbasetemp() / "same.png"
    image.save(path)
    with Image.open(path) as opened:
        count = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
        pixels, names, _ = open_images([path, opened, image, values], Preprocess.simple(count, (6, 8)))
    assert names == (str(path), str(path), "image 2", "image 3")
    assert all(np.array_equal(row, pixels[0]) for row in pixels)


def test_unreadable_files_are_listed_and_skipped(folder: Path) -> None:
    (folder / "3.png").write_bytes(b"")
    (folder / "b" / "2.jpg").write_text("not a picture")
    whole = (folder / "a" / "3.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    pixels, names, unreadable = open_images(folder, PLAIN)
    assert len(pixels) == len(names) == 6
    assert [(Path(item.path).name, item.reason) for item in unreadable] == [
        ("3.png", "the file is empty (0 bytes)"),
        ("2.jpg", "it is text, not an image"),
        ("cut.jpg", "the file is truncated"),
    ]
    nothing, names, unreadable = open_images([folder / "3.png", b"junk"], PLAIN)
    assert nothing.shape == (0, 6, 8, 3)
    assert names == ()
    assert [item.path for item in unreadable] == [str(folder / "3.png"), "image 1"]


def test_many_files_keep_their_order(tmp_path: Path) -> None:
    paths = []
    for level in range(60):
        paths.append(tmp_path / f"{level}.png")
        # sizes vary, so that the threads finish in another order
        picture(level, (6 * (1 + 37 * level % 11), 8 * (1 + 37 * level % 11))).save(paths[-1])
    pixels, names, _ = open_images(paths, PLAIN)
    assert pixels[:, 3, 3, 1].tolist() == list(range(60))
    assert names == tuple(map(str, paths))
    assert np.array_equal(open_images(tmp_path, PLAIN)[0], pixels)


def test_nothing_gives_nothing() -> None:
    pixels, names, unreadable = open_images([], PLAIN)
    assert (pixels.shape, names, unreadable) == ((0, 6, 8, 3), (), ())


def test_a_generator_is_taken(folder: Path) -> None:
    assert len(open_images((folder / name for name in ("2.png", "10.png")), PLAIN)[0]) == 2


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("no/such/file.png", "no file or folder"),
        (np.zeros((2, 3, 8, 8), np.float32), "float array of shape .*expected uint8.*float tensor"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"shape \(3, 8, 8\).*channels last"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((1, 1, 1, 1, 1), np.uint8), "shape"),
        (np.zeros((4, 4), np.int32), "int32"),
        (torch.zeros(1, 3, 4, 4), "a tensor was given"),
        ([torch.zeros(3, 4, 4)], "a tensor was given"),
        (7, "int was given as images; expected paths"),
        ([7], "int was given as an image; expected paths"),
        ([["a.png"]], "list was given as an image"),
        ({"a": 1}, "dict was given"),
        (None, "NoneType was given"),
    ],
)
def test_misuse_is_one_line(images: object, says: str) -> None:
    with pytest.raises(OpsinError, match=says) as caught:
        open_images(images, PLAIN)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_missing_file_among_others_and_an_empty_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OpsinError, match=r"no file or folder .*gone\.png"):
        open_images([folder / "2.png", folder / "gone.png"], PLAIN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(OpsinError, match="holds no images"):
        open_images(tmp_path / "empty", PLAIN)


def test_linked_folders_are_followed_once(folder: Path) -> None:
    try:
        (folder / "loop").symlink_to(folder, target_is_directory=True)
        (folder / "z").symlink_to(folder / "b", target_is_directory=True)
    except OSError:
        return  # links need a right that Windows does not give everyone
    names = [path.relative_to(folder).as_posix() for path in find_images(folder)]
    assert sum(name.endswith("1.png") for name in names) == 1
    assert len(names) == 6


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab/B10²٣-. ", max_size=8)))
def test_natural_order_is_total(names: list[str]) -> None:
    ordered = sorted(names, key=natural_key)
    backwards = names[::-1]
    backwards.sort(key=natural_key)
    assert backwards == ordered


def test_natural_order() -> None:
    names = ["b", "a10", "a2", "A2", "a02", "10", "9", "a/10", "a/9", ""]
    assert sorted(names, key=natural_key) == ["", "9", "10", "a/9", "a/10", "A2", "a02", "a2", "a10", "b"]


def test_the_working_folder_does_not_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert open_images("a", PLAIN)[1] == (str(Path("a", "3.jpg")), str(Path("a", "b", "c.bmp")))


FITS = [
    Preprocess(height=60, width=60, mean=(0,) * 3, std=(1,) * 3),
    Preprocess(height=60, width=90, crop=0.875, mean=(0,) * 3, std=(1,) * 3),
    Preprocess(height=60, width=60, fit="pad", mean=(0,) * 3, std=(1,) * 3),
    Preprocess(height=40, width=80, fit="stretch", mean=(0,) * 3, std=(1,) * 3),
]


@pytest.mark.parametrize("preprocess", FITS, ids=lambda one: f"{one.fit}{one.crop}")
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(300, 500), (640, 400)])
def test_a_mark_is_found_again_at_its_place_in_the_upright_original(preprocess, orientation, size, tmp_path):
    place = (0.45 * size[0], 0.6 * size[1])  # in the upright picture
    upright = np.zeros((*size, 3), np.uint8)
    rows, columns = (slice(round(middle) - 15, round(middle) + 15) for middle in place)
    upright[rows, columns] = 255
    # how the file has to be stored so that its orientation turns it upright
    stored = {1: upright, 3: np.rot90(upright, 2), 6: np.rot90(upright), 8: np.rot90(upright, 3)}[orientation]
    picture = Image.fromarray(np.ascontiguousarray(stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "mark.png", exif=exif)
    (opened,) = decode_each([tmp_path / "mark.png"], preprocess, keep=1000)
    weights = opened.pixels[..., 0].astype(float)
    centre = [
        np.average(np.arange(n) + 0.5, weights=weights.sum(axis=1 - axis)) for axis, n in enumerate(weights.shape)
    ]
    top, left, bottom, right = opened.geometry
    found = (
        top + centre[0] * (bottom - top) / preprocess.height,
        left + centre[1] * (right - left) / preprocess.width,
    )
    assert np.allclose(found, place, atol=1.5)
    assert np.array_equal(np.asarray(opened.original), upright)


def test_what_is_kept_of_an_original_is_no_larger_than_asked():
    assert shrunk(picture(3, (100, 400)), 200).size == (200, 50)
    assert shrunk(picture(3, (1, 400)), 20).size == (20, 1)
    small = picture(3, (10, 10))
    assert shrunk(small, 10) is small
    (opened,) = decode_each([picture(9, (90, 60))], PLAIN, keep=30)
    assert opened.original is not None
    assert opened.original.size == (20, 30)
    assert decode_each([picture(9)], PLAIN)[0].original is None
