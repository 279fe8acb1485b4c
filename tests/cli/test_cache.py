"""`opsin cache`."""

from __future__ import annotations

import json
import os

import pytest

from opsin.cli import main
from opsin.cli.cache import _ago
from opsin.data.decoded import decoded_pixels
from opsin.data.preprocess import Preprocess


@pytest.fixture
def filled(tmp_path, monkeypatch, digits):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    decoded_pixels(digits.pictures[:60], digits.hashes[:60], Preprocess.simple(1, 14), name="digits")
    return tmp_path / "cache"


def test_lists(filled, capsys):
    assert main(["cache"]) == 0
    out, err = capsys.readouterr()
    header, row, total = out.splitlines()
    assert header.split() == ["name", "what", "images", "size", "last", "used", "path"]
    assert row.split()[:7] == ["digits", "pixels", "60", "12", "kB", "just", "now"]
    assert total == f"12 kB in {filled}   (opsin cache --clear)"
    assert err == ""


def test_lists_what_is_not_finished(filled, capsys):
    (entry,) = (filled / "pixels").iterdir()
    (entry / "pixels.u8").rename(entry / "pixels.part")
    os.utime(entry / "about.json", (0, 0))
    assert main(["cache"]) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert "pixels, not finished" in row
    assert "days ago" in row


def test_json(filled, capsys):
    assert main(["cache", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    (one,) = shown["caches"]
    assert (one["name"], one["kind"], one["images"], one["complete"]) == ("digits", "pixels", 60, True)
    assert shown["bytes"] == one["bytes"]
    assert shown["folder"] == filled.as_posix()
    assert shown["cleared"] is False


def test_clears_without_asking_and_says_what_it_freed(filled, capsys):
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"deleted 12 kB in {filled}\n"
    assert list(filled.rglob("*")) == []
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"nothing in {filled}\n"
    assert main(["cache", "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(filled), "cleared": True, "bytes": 0, "caches": []}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (60, "1 minute ago"), (7_300, "2 hours ago"), (86_400, "1 day ago"), (10**7, "115 days ago")],
)
def test_ages(seconds, text):
    assert _ago(seconds) == text
