"""What a folder holds, by ids; and that nothing outside of it can be opened."""

import json
import os
import sys

import numpy as np
import pytest

from opsin.errors import OpsinError
from opsin.files import write_json, write_tensors
from opsin.studio import runs
from opsin.studio.runs import Entry, Place, Shelf, identify


@pytest.fixture
def folder(tmp_path, make_run):
    make_run(tmp_path / "runs" / "digits")
    make_run(tmp_path / "runs" / "group" / "marked", "running")
    return tmp_path / "runs"


def names(folder):
    return sorted(entry.name for entry in Shelf(folder).entries())


def find(folder, name):
    shelf = Shelf(folder)
    return shelf.find(next(entry.id for entry in shelf.entries() if entry.name == name))


def test_runs_are_found_in_folders_and_not_in_runs(folder, make_run):
    make_run(folder / "digits" / "inner")
    make_run(folder / ".hidden")
    assert names(folder) == ["digits", "group/marked"]
    entry = find(folder, "group/marked")
    assert (entry.kind, entry.status, entry.path) == ("run", "running", folder / "group" / "marked")


def test_ids_stay_and_tell_nothing(folder):
    ids = {entry.name: entry.id for entry in Shelf(folder).entries()}
    assert ids == {entry.name: entry.id for entry in Shelf(folder).entries()}
    assert all(len(id) == 16 and "digits" not in id for id in ids.values())


def test_a_run_itself_is_a_folder_of_one(folder):
    (entry,) = Shelf(folder / "digits").entries()
    assert (entry.name, entry.id) == ("digits", find(folder, "digits").id)


def test_what_is_not_there_yet_is_empty_and_appears(tmp_path, make_run):
    shelf = Shelf(tmp_path / "later")
    assert shelf.entries() == []
    make_run(tmp_path / "later" / "first")
    assert [entry.name for entry in shelf.entries()] == ["first"]


def test_the_latest_run_comes_first(folder):
    os.utime(folder / "digits" / "run.json", (1, 1))
    assert [entry.name for entry in Shelf(folder).entries()] == ["group/marked", "digits"]
    (folder / "digits" / "steps.jsonl").write_text("{}\n")
    os.utime(folder / "group" / "marked" / "run.json", (2, 2))
    assert [entry.name for entry in Shelf(folder).entries()] == ["digits", "group/marked"]


def test_a_status_is_read_again_when_it_changes(folder):
    shelf = Shelf(folder / "digits")
    assert shelf.entries()[0].status == "finished"
    write_json(folder / "digits" / "run.json", {"status": "stopped"})
    assert shelf.entries()[0].status == "stopped"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"status": {}}'])
def test_a_damaged_run_is_listed(folder, content):
    (folder / "digits" / "run.json").write_bytes(content)
    assert find(folder, "digits").status in ("damaged", "{}")


def test_model_files_are_listed_where_they_open_by_themselves(folder):
    arrays = {"w": np.zeros(3, np.float32)}
    write_tensors(folder / "net.safetensors", arrays, {"opsin": "{}"})
    write_tensors(folder / "bare.safetensors", arrays)
    write_tensors(folder / "digits" / "weights" / "best.safetensors", arrays, {"opsin": "{}"})
    (folder / "short.safetensors").write_bytes(b"\x01")
    (folder / "huge.safetensors").write_bytes(b"\xff" * 8 + b"{")
    (folder / "list.safetensors").write_bytes((2).to_bytes(8, "little") + b"[]")
    (folder / "net.onnx").write_bytes(b"")
    (folder / "net.pth").write_bytes(b"")
    (folder / "my.py").write_text("raise SystemExit")
    assert names(folder) == ["digits", "group/marked", "net.onnx", "net.safetensors"]
    assert find(folder, "net.onnx").kind == "file"


@pytest.mark.parametrize("id", ["", "x", "../digits", "digits", "/", "0" * 16, "%2e%2e", "\0"])
def test_nothing_is_found_by_its_path(folder, id):
    with pytest.raises(OpsinError, match="is not here any more; choose another one"):
        Shelf(folder).find(id)


def test_links_are_not_followed(tmp_path, folder, make_run):
    make_run(tmp_path / "outside" / "secret")
    (tmp_path / "outside" / "net.onnx").write_bytes(b"")
    (folder / "linked").symlink_to(tmp_path / "outside" / "secret")
    (folder / "net.onnx").symlink_to(tmp_path / "outside" / "net.onnx")
    (folder / "loop").symlink_to(folder)
    assert names(folder) == ["digits", "group/marked"]


@pytest.mark.parametrize("place", ["weights/best.safetensors", "snapshots", "run.json"])
def test_a_run_with_a_link_that_leads_out_is_refused(tmp_path, folder, place):
    outside = tmp_path / "outside"
    (outside / "snapshots").mkdir(parents=True)
    (outside / "secret").write_text(json.dumps({"status": "finished"}))
    inside = folder / "digits" / place
    inside.parent.mkdir(exist_ok=True)
    inside.unlink(missing_ok=True)
    inside.symlink_to(outside / ("snapshots" if place == "snapshots" else "secret"))
    with pytest.raises(OpsinError, match=r"is a link that leads out of runs; copy the file"):
        find(folder, "digits")


def test_a_link_within_the_folder_is_fine(folder):
    (folder / "digits" / "weights").symlink_to(folder / "group")
    assert find(folder, "digits").name == "digits"


def test_the_folder_itself_may_be_a_link(tmp_path, folder):
    (tmp_path / "link").symlink_to(folder)
    assert names(tmp_path / "link") == ["digits", "group/marked"]
    assert find(tmp_path / "link", "digits").path == tmp_path / "link" / "digits"


def test_a_run_that_is_replaced_by_a_link_between_listing_and_opening_is_refused(tmp_path, folder, make_run):
    make_run(tmp_path / "outside")
    with pytest.raises(OpsinError, match="lies outside of runs"):
        runs._require_inside(tmp_path / "outside", folder)


def test_too_many_files_are_refused_and_not_walked(folder, monkeypatch):
    monkeypatch.setattr(runs, "MOST_FILES", 3)
    for number in range(5):
        (folder / "digits" / f"{number}").write_text("")
    with pytest.raises(OpsinError, match="more than 3 files"):
        find(folder, "digits")


def test_a_huge_folder_is_listed_in_part(folder, monkeypatch):
    monkeypatch.setattr(runs, "MOST", 1)
    assert names(folder) == ["digits"]


def test_a_folder_that_links_to_itself_in_depth_ends(folder, make_run, monkeypatch):
    deep = folder
    for _ in range(runs.DEPTH):
        deep = deep / "d"
    make_run(deep)
    assert "d/d/d/d" in names(folder)
    make_run(deep.parent / "e" / "f")
    assert "d/d/d/e/f" not in names(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="only there are names any bytes")
def test_names_can_be_any_text(folder, make_run):
    make_run(folder / '<script>alert("1")<')
    (folder / os.fsdecode(b"\xff\xfe")).mkdir()
    write_json(folder / os.fsdecode(b"\xff\xfe") / "run.json", {"status": "finished"})
    assert '<script>alert("1")<' in names(folder)
    assert "??" in names(folder)
    assert all(json.dumps(entry.public(), ensure_ascii=False).encode() for entry in Shelf(folder).entries())


def test_what_the_command_line_named_comes_first_and_travels_to_the_worker(folder):
    given = Entry(identify(b"my.py:CNN"), "my.py:CNN", "model", "", 0.0, None, {"model": "my.py:CNN", "size": 28})
    place = Place(Shelf(folder, given), ("other.py:Net",))
    assert place.shelf.entries()[0] is given
    there = Place.of(json.loads(json.dumps(place.told())))
    assert there.shelf.find(given.id) == given
    assert there.code == ("other.py:Net",)
    assert [entry.id for entry in there.shelf.entries()] == [entry.id for entry in place.shelf.entries()]
    assert Place.of(Place(Shelf(None, given)).told()).shelf.entries() == [given]
