from __future__ import annotations

import json
from pathlib import Path

import pytest

from opsin.cli import main
from opsin.data.sources.index import INDEX


@pytest.fixture(autouse=True)
def empty_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("OPSIN_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_table(capsys: pytest.CaptureFixture[str], empty_data_folder: Path):
    assert main(["datasets"]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert set(INDEX) < set(rows)
    here, needs = out.splitlines()[0].index("here"), out.splitlines()[0].index("needs")
    for name, entry in INDEX.items():
        assert rows[name][here:needs].strip() == ("yes" if entry.here() else "no")
        assert rows[name].endswith(entry.needs), "the columns are aligned, and the last one says what it needs"
    assert f"downloads go to {empty_data_folder} (OPSIN_DATA moves it)" in out
    assert "class/x.jpg" in out


def test_json(capsys: pytest.CaptureFixture[str], empty_data_folder: Path):
    assert main(["datasets", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["folder"] == empty_data_folder.as_posix()
    assert [row["name"] for row in answer["datasets"]] == list(INDEX)
    photos = next(row for row in answer["datasets"] if row["name"] == "photos")
    assert photos == {
        "name": "photos",
        "here": True,
        "what": "pieces of twelve photographs",
        "images": 288,
        "classes": 12,
        "size": "72 x 72 colour",
        "needs": "nothing",
    }


def test_what_is_put_into_the_data_folder_is_here(capsys: pytest.CaptureFixture[str], empty_data_folder: Path):
    for listed in (False, True):
        assert main(["datasets", "--json"]) == 0
        rows = {row["name"]: row["here"] for row in json.loads(capsys.readouterr().out)["datasets"]}
        assert rows["cifar10"] is listed
        (empty_data_folder / "cifar-10-batches-py").mkdir(parents=True, exist_ok=True)


def test_an_unknown_option_is_misuse(capsys: pytest.CaptureFixture[str]):
    assert main(["datasets", "--jsn"]) == 2
    assert "opsin: " in capsys.readouterr().err
