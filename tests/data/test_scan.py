"""One pass over the pictures, and what is remembered of it."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opsin.data import scan as module
from opsin.data.cache import SCANS, list_caches
from opsin.data.decode import decode
from opsin.data.duplicates import EDGE
from opsin.data.scan import array_hash, content_hash, in_parallel, scan
from opsin.errors import OpsinError

RANDOM = np.random.default_rng(11)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_SETTLED", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six small pictures: grey, colour, a palette of greys, transparency, a turned JPEG, 16 bits."""
    place = tmp_path / "images"
    place.mkdir()
    grey = RANDOM.integers(0, 256, (12, 9), dtype=np.uint8)
    Image.fromarray(grey).save(place / "a.png")
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(place / "b.png")
    Image.fromarray(grey).convert("P").save(place / "c.png")
    Image.fromarray(np.dstack([grey] * 4)).save(place / "d.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(place / "e.jpg", exif=exif)
    Image.fromarray(grey.astype(np.uint16) * 200).save(place / "f.png")
    return place


def decoded(monkeypatch) -> list[str]:
    """The files that are decoded from now on."""
    seen: list[str] = []

    def counting(path: Path) -> module.Look:
        seen.append(path.name)
        return look_at(path)

    look_at = module.look_at
    monkeypatch.setattr(module, "look_at", counting)
    return seen


# --- what is found out ------------------------------------------------------------------------------------------------


def test_files(cache, folder):
    paths = sorted(folder.iterdir())
    told = []
    seen = scan(paths, lambda *what: told.append(what))
    assert seen.hashes == tuple(hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in paths)
    assert seen.sizes.tolist() == [[12, 9]] * 4 + [[9, 12]] + [[12, 9]]
    # grey stored as RGB counts as colour, as ImageInfo has it
    assert seen.colour.tolist() == [False, True, False, True, True, False]
    assert seen.readable.tolist() == list(range(6))
    assert seen.reasons == {}
    assert seen.thumbnails is not None
    assert seen.thumbnails.shape == (6, EDGE, EDGE)
    assert np.array_equal(seen.thumbnails[0], seen.thumbnails[2])
    assert np.array_equal(seen.thumbnails[4], module.thumbnail(decode(paths[4], "L").picture))
    assert told == [("reading images", 6, 6)]


def test_the_hash_is_of_the_bytes_and_of_nothing_else(cache, folder):
    Image.open(folder / "a.png").save(folder / "g.png", compress_level=1)
    os.utime(folder / "g.png", (1, 1))
    first, again = scan([folder / "a.png"]).hashes[0], scan([folder / "g.png"]).hashes[0]
    assert first != again
    (folder / "other name.jpeg").write_bytes((folder / "a.png").read_bytes())
    assert scan([folder / "other name.jpeg"]).hashes == (first,)
    assert content_hash(b"") == "cae66941d9efbd404e4d88758ea67670"


def test_unreadable_files_keep_the_others_in_place(cache, folder):
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:90])
    (folder / "c.png").write_bytes(b"")
    (folder / "d.png").unlink()
    (folder / "f.png").write_text("not an image")
    (folder / "z").mkdir()
    seen = scan([folder / name for name in ("a.png", "b.png", "c.png", "d.png", "e.jpg", "f.png", "z")])
    assert seen.readable.tolist() == [0, 4]
    assert len(seen.hashes) == len(seen.sizes) == len(seen.colour) == 2
    assert seen.thumbnails is not None
    assert len(seen.thumbnails) == 2
    assert list(seen.reasons) == [1, 2, 3, 5, 6]
    for at, says in {2: "empty", 3: "no such file|No such file", 5: "text", 6: "folder|directory|denied"}.items():
        assert re.search(says, seen.reasons[at])


def test_nothing_readable(cache, tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    seen = scan([tmp_path / "a.png"])
    assert seen.hashes == ()
    assert seen.sizes.shape == (0, 2)
    assert seen.thumbnails is not None
    assert seen.thumbnails.shape == (0, EDGE, EDGE)


def test_a_file_larger_than_is_read(cache, folder, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    monkeypatch.setattr("opsin.data.decode.MAX_BYTES", 10)
    seen = scan([folder / "a.png"])
    assert "more than the 10 that are read" in seen.reasons[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 4), st.sampled_from(["u1", "<u2", ">u2"]))
def test_arrays(height, width, channels, kind):
    shape = (5, height, width, channels)[: 4 if channels else 3]
    pictures = np.random.default_rng(height * width).integers(0, 256, shape).astype(kind)
    seen = scan(pictures)
    assert seen.readable.tolist() == list(range(5))
    assert seen.sizes.tolist() == [[height, width]] * 5
    assert seen.colour.tolist() == [channels >= 3] * 5
    assert seen.thumbnails is None
    # written from the definition: type, shape, values with the low byte first
    name = "uint8" if kind == "u1" else "uint16"
    for picture, found in zip(pictures, seen.hashes, strict=True):
        content = b"".join(int(value).to_bytes(picture.dtype.itemsize, "little") for value in picture.ravel())
        text = f"{name} ({height}, {width}, {max(channels, 1)}) ".encode()
        assert found == hashlib.blake2b(text + content, digest_size=16).hexdigest()


def test_the_hash_of_an_array_does_not_depend_on_how_it_lies_in_memory():
    picture = RANDOM.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    turned = np.asfortranarray(picture)
    assert array_hash(picture) == array_hash(turned) == array_hash(picture[::-1][::-1])
    assert array_hash(picture[..., 0]) == array_hash(picture[..., :1])
    assert len({array_hash(picture), array_hash(picture.reshape(5, 6, 3)), array_hash(picture.astype(np.uint16))}) == 3


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 4, 4), np.float32), "type float32 were given; expected uint8"),
        (np.zeros((2, 4), np.uint8), r"expected uint8 \(or uint16\) \(n, height, width\)"),
        (np.zeros((2, 0, 4), np.uint8), r"shape \(2, 0, 4\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), "1 to 4 channels, last; move the channels last"),
        (np.zeros((2, 8, 8, 8), np.uint8), "1 to 4 channels, last$"),
    ],
)
def test_arrays_that_are_no_images(array, says):
    with pytest.raises(OpsinError, match=says) as caught:
        scan(array)
    assert "\n" not in str(caught.value)


# --- what is remembered -----------------------------------------------------------------------------------------------


def test_a_second_scan_decodes_nothing_and_finds_the_same(cache, folder, monkeypatch):
    paths = sorted(folder.iterdir())
    first = scan(paths)
    seen = decoded(monkeypatch)
    again = scan(paths)
    assert seen == []
    for name in ("readable", "hashes", "sizes", "colour", "thumbnails", "reasons"):
        assert np.array_equal(getattr(first, name), getattr(again, name)) or first.reasons == again.reasons == {}
    assert [(one.kind, one.images, one.name) for one in list_caches()] == [("scans", 6, "images")]


def test_a_relative_path_is_the_same_file(cache, folder, monkeypatch):
    scan(sorted(folder.iterdir()))
    monkeypatch.chdir(folder.parent)
    seen = decoded(monkeypatch)
    scan([Path("images/a.png")])
    assert seen == []


@pytest.mark.parametrize("change", ["content", "time", "content alone"])
def test_a_changed_file_is_read_again_and_no_other(cache, folder, monkeypatch, change):
    paths = sorted(folder.iterdir())
    first = scan(paths)
    before = paths[0].stat()
    if change != "time":
        paths[0].write_bytes(paths[0].read_bytes()[:-1] + b"?")  # in the last checksum, which no decoder reads
    if change != "content":  # alone: what a tool leaves that copies a file and its time over another one
        later = 1_000_000 if change == "time" else 0
        os.utime(paths[0], ns=(before.st_atime_ns, before.st_mtime_ns + later))
    seen = decoded(monkeypatch)
    again = scan(paths)
    assert seen == ["a.png"]
    assert again.hashes[1:] == first.hashes[1:]
    assert (again.hashes[0] == first.hashes[0]) == (change == "time")


def test_a_file_that_has_just_changed_is_not_remembered(cache, folder, monkeypatch):
    """Time stamps are coarse: it could change again and keep its time."""
    monkeypatch.setattr(module, "_SETTLED", 2.0)
    paths = sorted(folder.iterdir())
    scan(paths)
    seen = decoded(monkeypatch)
    scan(paths)
    assert len(seen) == 6
    later = time.time() + 3
    monkeypatch.setattr(time, "time", lambda: later)
    scan(paths)
    scan(paths)
    assert len(seen) == 12


def test_unreadable_files_are_tried_again(cache, folder, monkeypatch):
    (folder / "a.png").write_bytes(b"GIF8")
    paths = sorted(folder.iterdir())
    scan(paths)
    seen = decoded(monkeypatch)
    scan(paths)
    assert seen == ["a.png"]


def test_files_that_are_gone_are_forgotten_and_others_kept(cache, folder, monkeypatch):
    paths = sorted(folder.iterdir())
    scan(paths[:3])
    paths[0].unlink()
    scan(paths[3:])
    seen = decoded(monkeypatch)
    scan(paths[1:])
    assert seen == []
    assert list_caches()[0].images == 5


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "empty"])
def test_a_damaged_memory_only_costs_time(cache, folder, monkeypatch, damage):
    paths = sorted(folder.iterdir())
    first = scan(paths)
    (file,) = (cache / SCANS).iterdir()
    data = bytearray(file.read_bytes())
    middle = len(data) // 3
    data[middle] ^= 255
    file.write_bytes({"cut": data[:-9], "flipped": data, "other": b"PAR1", "empty": b""}[damage])
    seen = decoded(monkeypatch)
    assert scan(paths).hashes == first.hashes
    assert len(seen) == 6
    scan(paths)
    assert len(seen) == 6, "the damaged one was replaced"


def test_a_cache_that_cannot_be_written_is_a_warning(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(module, "_SETTLED", 0.0)
    with pytest.warns(UserWarning, match="next load of these images will not be quicker: cannot write"):
        seen = scan(sorted(folder.iterdir()))
    assert len(seen.hashes) == 6


def test_an_interrupted_scan_keeps_what_it_found(cache, folder, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 1)

    def stop(what: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    paths = sorted(folder.iterdir())
    with pytest.raises(KeyboardInterrupt):
        scan(paths, stop)
    seen = decoded(monkeypatch)
    scan(paths)
    assert len(seen) <= 2


@pytest.mark.skipif(os.name == "nt", reason="names are text on Windows")
def test_a_name_that_is_no_text(cache, folder, monkeypatch):
    path = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    try:
        path.write_bytes((folder / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes text only")
    scan([path])
    seen = decoded(monkeypatch)
    assert len(scan([path]).hashes) == 1
    assert seen == []


# --- threads ----------------------------------------------------------------------------------------------------------


def test_in_parallel_keeps_the_order_and_raises():
    assert list(in_parallel(lambda value: value * 2, range(100))) == list(range(0, 200, 2))
    assert list(in_parallel(str, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda value: 1 // value, [1, 0, 1]))


def test_in_parallel_begins_nothing_new_once_it_is_closed():
    begun, go = [], threading.Event()

    def work(value: int) -> int:
        begun.append(value)
        if value:
            go.wait(10)
        return value

    results = in_parallel(work, range(1000))
    assert next(results) == 0
    go.set()
    results.close()
    count = len(begun)
    assert count < 1000
    assert threading.active_count() < 50
    assert len(begun) == count
