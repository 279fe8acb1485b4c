"""What is in the cache folder, and that clearing takes nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from opsin.data import scan as scan_module
from opsin.data.cache import PIXELS, SCANS, cache_folder, clear_cache, list_caches, size_text
from opsin.data.decoded import decoded_pixels
from opsin.data.preprocess import Preprocess
from opsin.data.scan import scan
from opsin.errors import OpsinError

KEY = "0123456789abcdef" * 2


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scan_module, "_SETTLED", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def filled(folder, picture_folder, digits) -> Path:
    paths = sorted(picture_folder.rglob("*.png"))
    decoded_pixels(paths, scan(paths).hashes, Preprocess.simple(3, 16), name="pictures")
    decoded_pixels(digits.pictures[:50], digits.hashes[:50], Preprocess.simple(1, 14), name="digits")
    return folder


def files(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*")}


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("OPSIN_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    monkeypatch.setenv("OPSIN_CACHE", "")
    assert cache_folder() == Path(platformdirs.user_cache_dir("opsin", appauthor=False))


def test_what_is_there(filled, picture_folder):
    found = {(one.kind, one.name, one.images, one.complete) for one in list_caches()}
    scanned = (SCANS, picture_folder.name, 60, True)
    assert found == {(PIXELS, "pictures", 60, True), (PIXELS, "digits", 50, True), scanned}
    for one in list_caches():
        inside = one.path.rglob("*") if one.kind == PIXELS else [one.path]
        assert one.bytes <= sum(path.stat().st_size for path in inside)
        assert one.bytes >= one.images * {"pictures": 16 * 16 * 3, "digits": 14 * 14}.get(one.name, 1)
    used = [one.used for one in list_caches()]
    assert used == sorted(used, reverse=True)


def test_nothing_there(folder):
    assert list_caches() == []
    assert clear_cache() == []
    folder.parent.joinpath("cache").write_text("a file where the folder should be")
    assert list_caches() == []
    assert clear_cache() == []


def test_clearing_leaves_nothing_of_its_own(filled):
    (filled / SCANS / f".{KEY}.parquet.0badcafe.tmp").write_text("torn by a kill")
    (filled / PIXELS / KEY).mkdir()
    (filled / PIXELS / KEY / ".about.json.0badcafe.tmp").write_text("torn by a kill")
    listed = list_caches()
    assert clear_cache() == listed
    assert files(filled) == set()
    assert list_caches() == []


def test_clearing_takes_nothing_else(filled, tmp_path):
    """Somebody may point OPSIN_CACHE at a folder full of other things."""
    treasure = tmp_path / "treasure" / KEY
    treasure.mkdir(parents=True)
    (treasure / "pixels.u8").write_text("mine")
    (treasure / "about.json").write_text("{}")
    foreign = [
        "thesis.txt", "pixels/notes.txt", "pixels/mine/pixels.u8", f"pixels/{KEY}/holiday.jpg",
        f"pixels/{KEY}/inner/pixels.u8", f"pixels/{KEY[:-1]}/pixels.u8", "scans/a.parquet", f"scans/{KEY}.parquet.bak",
        f"scans/{KEY}.csv", f"other/{KEY}/pixels.u8", f"{KEY}/pixels.u8",
    ]  # fmt: skip
    for name in foreign:
        (filled / name).parent.mkdir(parents=True, exist_ok=True)
        (filled / name).write_text("mine")
    (filled / SCANS / f"{KEY}.parquet").mkdir()
    if os.name != "nt":
        (filled / PIXELS / ("f" * 32)).symlink_to(treasure, target_is_directory=True)
        (filled / SCANS / ("f" * 32 + ".parquet")).symlink_to(treasure / "pixels.u8")
    (filled / PIXELS / KEY / "pixels.u8").write_text("ours, among the foreign")
    clear_cache()
    for name in foreign:
        assert (filled / name).read_text() == "mine"
    assert (treasure / "pixels.u8").read_text() == "mine"
    assert (filled / SCANS / f"{KEY}.parquet").is_dir()
    assert not (filled / PIXELS / KEY / "pixels.u8").exists()
    assert {one.name for one in list_caches()} == {"damaged"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x"}', '{"name": "x", "shape": []}', '{"shape": [3]}'])
def test_a_damaged_entry_is_listed_and_cleared(folder, content):
    entry = folder / PIXELS / KEY
    entry.mkdir(parents=True)
    (entry / "about.json").write_text(content)
    (entry / "pixels.part").write_bytes(bytes(5000))
    (folder / SCANS).mkdir()
    (folder / SCANS / f"{KEY}.parquet").write_text(content)
    assert {(one.kind, one.name, one.complete) for one in list_caches()} == {
        (PIXELS, "damaged", False), (SCANS, "damaged", False),
    }  # fmt: skip
    assert sum(one.bytes for one in clear_cache()) >= 5000
    assert files(folder) == set()


def test_what_cannot_be_deleted_is_said(filled, monkeypatch):
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "used by another process", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OpsinError, match=r"cannot delete .*: used by another process; end the programs") as caught:
        clear_cache()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_being_filled_counts_as_what_it_takes_up(folder):
    entry = folder / PIXELS / KEY
    entry.mkdir(parents=True)
    (entry / "about.json").write_text('{"name": "x", "shape": [1000, 100, 100, 1]}')
    with (entry / "pixels.part").open("wb") as file:
        file.write(b"x" * 4096)
        file.truncate(10_000_000)
    (one,) = list_caches()
    if hasattr(entry.stat(), "st_blocks"):
        assert one.bytes < 1_000_000
    assert (one.images, one.complete) == (1000, False)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"), (1, "1 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (9_940, "9.9 kB"), (12_345, "12 kB"),
        (552_000_000, "552 MB"), (3.2e9, "3.2 GB"), (7e13, "70.0 TB"),
    ],
)  # fmt: skip
def test_sizes(count, text):
    assert size_text(count) == text
