"""`opsin predict` from the outside."""

import csv
import json

import pytest
from PIL import Image

from opsin.cli import main
from opsin.models.build import build_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    build_model("simple_cnn", classes=("rose", "daisy"), channels=3, size=16, seed=0).save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "flowers").mkdir()
    for i in range(3):
        Image.new("RGB", (20, 20), (80 * i, 10, 200)).save(tmp_path / "flowers" / f"{i}.png")
    (tmp_path / "flowers" / "10.png").write_bytes(b"")
    return tmp_path / "flowers"


def test_a_table_for_people(weights, folder, capsys):
    assert main(["predict", weights, str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["image", "class", "probability"]
    assert [line.split()[0].rpartition("/")[2] for line in lines[1:4]] == ["0.png", "1.png", "2.png"]
    assert "10.png  not read: " in lines[4]


def test_a_csv_file(weights, folder, capsys):
    out = folder.parent / "new" / "answers.csv"
    assert main(["predict", weights, str(folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"3 images, 1 could not be read: {out}\n"
    with out.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 4
    assert rows[0]["label"] in ("rose", "daisy")
    assert float(rows[0]["p:rose"]) + float(rows[0]["p:daisy"]) == pytest.approx(1, abs=2e-6)
    assert rows[3]["error"]


def test_one_json_document(weights, folder, capsys):
    assert main(["predict", weights, str(folder / "0.png"), str(folder / "1.png"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [item["image"] for item in answer["images"]] == [str(folder / "0.png"), str(folder / "1.png")]
    assert answer["unreadable"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["{weights}"], 2, "no images were given; give files or a folder"),
        (["{weights}", "{folder}/none.png"], 2, "there is no file or folder"),
        (["{folder}/none.safetensors", "{folder}"], 2, "there is no weights file"),
        (["nothing_of_that_name", "{folder}"], 2, "there is no run, file or network nothing_of_that_name"),
        (["{weights}", "{folder}", "--out", "{folder}"], 2, "is a folder; give the name of a file"),
        (["{weights}", "{folder}/10.png"], 1, "none of the 1 files could be read"),
    ],
)
def test_misuse_is_one_line_on_stderr(weights, folder, capsys, arguments, code, says):
    assert main(["predict", *(text.format(weights=weights, folder=folder) for text in arguments)]) == code
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.count("\n") == 1
