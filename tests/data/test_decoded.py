"""Decoded once: right, resumed, shared, and never trusted where it was torn."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from opsin.data import decoded as module
from opsin.data.cache import PIXELS, clear_cache, list_caches
from opsin.data.decode import decode, from_array
from opsin.data.decoded import as_they_are, decoded_pixels
from opsin.data.preprocess import Preprocess
from opsin.data.scan import scan
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(8)
SMALL = Preprocess.simple(3, 8)
COUNT = 21
CHUNKS = 11  # of two pictures each


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "CHUNK_IMAGES", 2)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    for at in range(COUNT):
        height, width = RANDOM.integers(9, 40, 2)
        Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(place / f"{at:02}.png")
    return place


@pytest.fixture
def paths(originals, tmp_path) -> list[Path]:
    return sorted(Path(shutil.copytree(originals, tmp_path / "pictures")).iterdir())


@pytest.fixture
def hashes(paths) -> tuple[str, ...]:
    return scan(paths).hashes


@pytest.fixture
def expected(paths) -> np.ndarray:
    return np.stack([SMALL.pixels(decode(path)) for path in paths])


def fill(paths, hashes, **options) -> np.ndarray:
    return decoded_pixels(paths, hashes, SMALL, name="pictures", **options)


def entry(hashes) -> module._Entry:
    return module._Entry.of(hashes, SMALL)


def counted(monkeypatch) -> list[int]:
    """Grows by one for every file that is decoded from now on."""
    seen: list[int] = []

    def counting(*arguments):
        seen.append(1)
        return decode(*arguments)

    monkeypatch.setattr(module, "decode", counting)
    return seen


class Stopped(Exception):
    """Ends a filling at a chosen place, as a kill would."""


def stop_after(images: int):
    def stop(done: int, total: int) -> None:
        if done >= images:
            raise Stopped

    return stop


def interrupted(paths, hashes, images: int) -> None:
    """As many images are written as if there were one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "in_parallel", lambda function, items: (function(item) for item in items))
        with pytest.raises(Stopped):
            fill(paths, hashes, progress=stop_after(images))


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_pixels_are_what_the_preprocess_makes_of_every_picture(paths, hashes, expected, cache):
    told, said = [], []
    pixels = fill(paths, hashes, progress=lambda done, total: told.append((done, total)), say=said.append)
    assert isinstance(pixels, np.memmap)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, expected)
    assert told[-1] == (COUNT, COUNT)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert said == [f"decoding 21 images once: 4.0 kB in {entry(hashes).folder}"]
    assert entry(hashes).folder.is_relative_to(cache)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        pixels.flags.writeable = True


def test_it_is_used_again(paths, hashes, expected, monkeypatch):
    fill(paths, hashes)
    seen, said = counted(monkeypatch), []
    again = fill(paths, hashes, say=said.append)
    assert np.array_equal(again, expected)
    assert seen == said == []
    assert {path.name for path in entry(hashes).folder.iterdir()} == {"pixels.u8", "about.json"}


def test_what_decides_the_pixels_decides_the_entry(paths, hashes, monkeypatch):
    fill(paths, hashes)
    seen = counted(monkeypatch)
    other = Preprocess.simple(3, 8, mean=0.1, std=0.7)
    decoded_pixels(paths, hashes, other, name="")
    assert seen == [], "mean and std change no pixels"
    decoded_pixels(paths, hashes, Preprocess.simple(1, 8), name="")
    assert len(seen) == COUNT
    back = decoded_pixels(paths[::-1], hashes[::-1], SMALL, name="")
    assert len(seen) == 2 * COUNT
    assert np.array_equal(back, fill(paths, hashes)[::-1])


def test_say_comes_before_anything_is_written(paths, hashes, cache):
    def stop(_text: str) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        fill(paths, hashes, say=stop)
    assert not (cache / PIXELS).exists()


def test_arrays_that_do_not_fit(digits):
    preprocess = Preprocess.simple(3, 12)
    pictures = digits.pictures[:7]
    pixels = decoded_pixels(pictures, digits.hashes[:7], preprocess, name="digits")
    assert np.array_equal(pixels, [preprocess.pixels(from_array(picture, "RGB")) for picture in pictures])


# --- arrays that fit --------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.booleans(),
    st.sampled_from(["crop", "pad", "stretch"]), st.sampled_from(["nearest", "bilinear", "lanczos"]),
    st.sampled_from([1.0, 0.875, 0.5]), st.sampled_from([np.uint8, np.uint16]),
)  # fmt: skip
def test_as_they_are_only_where_nothing_changes(channels, mode, height, width, same, fit, interpolation, crop, kind):
    pictures = np.random.default_rng(height * width).integers(0, 256, (3, height, width, channels)).astype(kind)
    preprocess = Preprocess(
        mode=("L", "LA", "RGB", "RGBA")[mode - 1], height=height if same else 5, width=width, fit=fit,
        crop=crop if fit == "crop" else 1.0, interpolation=interpolation, mean=(0,) * mode, std=(1,) * mode,
    )  # fmt: skip
    pixels = as_they_are(pictures, preprocess)
    if pixels is None:
        assert kind != np.uint8 or mode != channels or crop != 1 or (height, width) != (preprocess.height, width)
        return
    assert np.array_equal(pixels, [preprocess.pixels(from_array(one, preprocess.mode)) for one in pictures])
    assert np.shares_memory(pixels, pictures)
    assert not pixels.flags.writeable
    assert pictures.flags.writeable


def test_digits_need_no_cache(digits, cache):
    pixels = digits.pixels(Preprocess.simple(1, 28))
    assert pixels.shape == (5000, 28, 28, 1)
    assert np.shares_memory(pixels, digits.pictures)
    for at in (0, 1234, 4999):
        assert np.array_equal(pixels[at], Preprocess.simple(1, 28).pixels(from_array(digits.pictures[at], "L")))
    assert as_they_are(digits.pictures, Preprocess.simple(3, 28)) is None
    assert as_they_are([Path("a.png")], SMALL) is None
    assert not cache.exists()


# --- files that change ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda path: Image.new("RGB", (9, 9)).save(path),
            "05.png has changed since the images were loaded; load them",
        ),
        (lambda path: path.unlink(), "05.png could be read when the images were loaded, and now: No such file"),
    ],
)
def test_a_file_that_changed_since_the_scan(paths, hashes, expected, change, says):
    change(paths[5])
    with pytest.raises(OpsinError, match=says) as caught:
        fill(paths, hashes)
    assert "\n" not in str(caught.value)
    assert entry(hashes).open() is None
    Image.new("RGB", (9, 9)).save(paths[5])
    pixels = fill(paths, scan(paths).hashes)
    assert np.array_equal(np.delete(pixels, 5, 0), np.delete(expected, 5, 0))
    assert not pixels[5].any()


def test_an_array_that_changed_since_the_scan(digits):
    pictures = digits.pictures[:5].copy()
    pictures[3, 4, 4] ^= 1
    with pytest.raises(OpsinError, match="image 3 has changed since the images were loaded"):
        decoded_pixels(pictures, digits.hashes[:5], SMALL, name="")


# --- interrupted, torn, damaged ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [2, 10, 20])
def test_it_goes_on_where_it_stopped(paths, hashes, expected, monkeypatch, images):
    interrupted(paths, hashes, images)
    assert entry(hashes).open() is None
    assert [one.complete for one in list_caches() if one.kind == PIXELS] == [False]
    seen, said, told = counted(monkeypatch), [], []
    pixels = fill(paths, hashes, say=said.append, progress=lambda done, total: told.append((done, total)))
    assert np.array_equal(pixels, expected)
    assert len(seen) == COUNT - images
    assert said[0].startswith(f"decoding {COUNT - images} images once")
    assert told[0] > (images, COUNT)
    assert told[-1] == (COUNT, COUNT)


def test_everything_was_written_but_not_renamed(paths, hashes, expected, monkeypatch):
    interrupted(paths, hashes, COUNT)
    seen = counted(monkeypatch)
    assert np.array_equal(fill(paths, hashes), expected)
    assert seen == []


def damage_chunk(place: module._Entry) -> None:
    with place.part.open("r+b") as file:
        file.seek(3 * place.row + 5)
        byte = file.read(1)
        file.seek(3 * place.row + 5)
        file.write(bytes([byte[0] ^ 1]))


def cut_file(place: module._Entry) -> None:
    os.truncate(place.part, 3 * place.row)


def tear_journal(place: module._Entry) -> None:
    place.journal.write_bytes(place.journal.read_bytes()[:-20])


def foreign_lines(place: module._Entry) -> None:
    lines = [
        b"{",
        b"[]",
        b"7",
        b'{"chunk": 99, "digest": "x"}',
        b'{"chunk": "a", "digest": 1}',
        b'{"chunk": 1}',
        b"\xff",
    ]
    place.journal.write_bytes(b"\n".join(lines) + place.journal.read_bytes())


def wrong_digest(place: module._Entry) -> None:
    lines = [json.loads(line) for line in place.journal.read_text().split("\n") if line]
    lines[0]["digest"], lines[1]["digest"] = lines[1]["digest"], lines[0]["digest"]
    place.journal.write_text("\n".join(map(json.dumps, lines)))


def lose_part(place: module._Entry) -> None:
    place.part.unlink()


@pytest.mark.parametrize("damage", [damage_chunk, cut_file, tear_journal, foreign_lines, wrong_digest, lose_part])
def test_a_torn_chunk_is_never_trusted(paths, hashes, expected, monkeypatch, damage):
    interrupted(paths, hashes, 12)
    damage(entry(hashes))
    seen = counted(monkeypatch)
    assert np.array_equal(fill(paths, hashes), expected)
    assert len(seen) < COUNT or damage is lose_part


@pytest.mark.parametrize("size", [0, 5, 10**5])
def test_a_finished_file_of_another_length_is_made_anew(paths, hashes, expected, size):
    fill(paths, hashes)
    os.truncate(entry(hashes).whole, size)
    assert np.array_equal(fill(paths, hashes), expected)
    assert np.array_equal(fill(paths, hashes), expected)


CHILD = """
import os, sys
from pathlib import Path
from opsin.data import decoded
from opsin.data.preprocess import Preprocess
from opsin.data.scan import scan
folder, kill_at = sys.argv[1:]
decoded.CHUNK_IMAGES = 2
paths = sorted(Path(folder).iterdir())

def progress(done, total):
    print(done, flush=True)
    if done >= int(kill_at):
        os.kill(os.getpid(), 9)

pixels = decoded.decoded_pixels(paths, scan(paths).hashes, Preprocess.simple(3, 8), name="child", progress=progress)
sys.stdout.write(decoded.content_hash(pixels.tobytes()))
"""


def child(paths, kill_at: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(paths[0].parent), str(kill_at)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_half_way(paths, hashes, expected, monkeypatch):
    killed = child(paths, 6)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    seen = counted(monkeypatch)
    assert np.array_equal(fill(paths, hashes), expected)
    assert len(seen) <= COUNT - 6


def test_several_processes_at_once(paths, hashes, expected):
    wanted = module.content_hash(expected.tobytes())
    children = [child(paths, 999) for _ in range(3)]
    for one in children:
        output, _ = one.communicate(timeout=60)
        assert one.returncode == 0
        assert output.endswith(wanted)
    assert np.array_equal(fill(paths, hashes), expected)
    assert {path.name for path in entry(hashes).folder.iterdir()} <= {"pixels.u8", "about.json", "chunks.jsonl"}


@pytest.mark.parametrize("begun", [0, 6])
@pytest.mark.parametrize("moment", ["say", "progress"])
def test_another_process_is_done_first(paths, hashes, expected, begun, moment):
    """Whatever was begun before, and wherever the other one overtakes: the same pixels, and no hole in them."""
    if begun:
        interrupted(paths, hashes, begun)
    others = []

    def overtake(*_: object) -> None:
        if not others:
            others.append(None)
            others.append(fill(paths, hashes))

    pixels = fill(paths, hashes, **{moment: overtake})
    assert np.array_equal(pixels, expected)
    assert np.array_equal(others[1], expected)
    assert np.array_equal(fill(paths, hashes), expected)


def test_who_comes_second_leaves_what_the_first_has_written(paths, hashes, expected, monkeypatch):
    """The second finds nothing and begins; in between the first writes three chunks, and it finishes right after."""
    monkeypatch.setattr(module, "in_parallel", lambda function, items: (function(item) for item in items))
    begun, go = threading.Event(), threading.Event()
    first: list[np.ndarray] = []

    def hold(done: int, _total: int) -> None:
        if done == 6:
            begun.set()
            go.wait(30)

    other = threading.Thread(target=lambda: first.append(fill(paths, hashes, progress=hold).copy()))

    def start(_text: str) -> None:
        other.start()
        begun.wait(30)

    def release(*_: int) -> None:
        go.set()
        other.join(30)

    assert np.array_equal(fill(paths, hashes, say=start, progress=release), expected)
    assert np.array_equal(first[0], expected)


def test_the_cache_is_cleared_while_it_is_filled(paths, hashes):
    with pytest.raises(OpsinError, match="was deleted while images were decoded into it; begin again"):
        fill(paths, hashes, progress=lambda *_: clear_cache())


def test_windows_does_not_rename_what_another_process_has_open(paths, hashes, expected, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "used by another process")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        patch.setattr(module, "write_json", lambda *_: None)
        assert np.array_equal(fill(paths, hashes), expected)
    seen = counted(monkeypatch)
    assert np.array_equal(fill(paths, hashes), expected)
    assert seen == []
    assert entry(hashes).whole.exists()


# --- no room ----------------------------------------------------------------------------------------------------------


def test_too_little_room_is_said_before_anything_is_written(paths, hashes, cache, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(10**9, 10**9, module.RESERVE + 4031))
    said = []
    with pytest.raises(OpsinError, match=r"21 decoded images need 4.0 kB in .* which has 67 MB free") as caught:
        fill(paths, hashes, say=said.append)
    assert "\n" not in str(caught.value)
    assert said == []
    assert not (cache / PIXELS).exists()
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(10**9, 10**9, module.RESERVE + 4032))
    fill(paths, hashes)


def test_only_what_is_missing_needs_room(paths, hashes, expected, monkeypatch):
    interrupted(paths, hashes, 20)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(10**9, 10**9, module.RESERVE + 300))
    np.testing.assert_array_equal(fill(paths, hashes), expected)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_the_disk_is_full_midway(paths, hashes, expected, monkeypatch, code):
    class Full(FileIO):
        def write(self, data):
            if self.tell() >= 8 * 192:
                raise OSError(code, "No space left on device")
            return super().write(data[:100])  # and a disk may take less than it is given

    with monkeypatch.context() as patch:
        patch.setattr(module, "FileIO", Full)
        with pytest.raises(OpsinError, match="the disk was full before all decoded images") as caught:
            fill(paths, hashes)
    assert "\n" not in str(caught.value)
    assert entry(hashes).open() is None
    assert np.array_equal(fill(paths, hashes), expected)


def test_a_folder_that_cannot_be_written(paths, hashes, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        OpsinError, match=r"cannot be kept in .*set OPSIN_CACHE to a folder that can be written"
    ) as caught:
        fill(paths, hashes)
    assert "\n" not in str(caught.value)


def test_a_read_only_folder(paths, hashes, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write everywhere
    with pytest.raises(OpsinError, match=r"Permission denied; set OPSIN_CACHE to a folder that can be written to"):
        fill(paths, hashes)


def test_a_finished_entry_can_be_read_from_a_read_only_folder(paths, hashes, expected, monkeypatch):
    fill(paths, hashes)
    monkeypatch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EROFS, "read-only")))
    assert np.array_equal(fill(paths, hashes), expected)


def test_using_it_makes_it_younger(paths, hashes):
    fill(paths, hashes)
    os.utime(entry(hashes).folder / "about.json", (1, 1))
    assert list_caches()[-1].used == 1
    fill(paths, hashes)
    assert time.time() - max(one.used for one in list_caches()) < 60
