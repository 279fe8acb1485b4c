"""`opsin demo shortcut` from the outside: the mark is found, the twin is clean, every method is scored."""

import json

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.cli import main
from opsin.cli.demos import shortcut
from opsin.cli.demos.asked import Asked
from opsin.errors import OpsinError
from opsin.explanation.methods import METHODS
from opsin.records import Shortcuts

pytestmark = pytest.mark.filterwarnings("ignore::opsin.explanation.guards.MapWarning")
CHEAP = {name: METHODS[name] for name in ("grad_cam", "layer_cam", "integrated_gradients", "cam", "attention_rollout")}


@pytest.fixture(scope="module")
def fewer(digits, tmp_path_factory):
    """A part of the digits, so that two networks are trained in seconds."""
    path = tmp_path_factory.mktemp("fewer") / "digits.npz"
    arrays = {"classes": np.array(digits.classes)}
    for split, key, most in (("train", "train", 120), ("validation", "val", 40), ("test", "test", 40)):
        part = getattr(digits, split)
        rows = np.concatenate([part.indices[part.labels == label][:most] for label in range(10)])
        arrays |= {f"x_{key}": digits.pictures[rows], f"y_{key}": digits.labels[rows]}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def shown(fewer, tmp_path_factory):
    """The demo's exit code, its JSON document and its folder."""
    folder = tmp_path_factory.mktemp("demo") / "shortcut"
    patch = pytest.MonkeyPatch()
    patch.setattr("opsin.explanation.methods.METHODS", CHEAP)
    said: list[object] = []
    patch.setattr("opsin.cli.show.document", said.append)
    command = ["demo", "shortcut", "--data", str(fewer), "--out", str(folder), "--json", "--epochs", "4"]
    code = main([*command, "--no-record", "--embeddings", "0"])
    patch.undo()
    return code, said[0], folder


def test_the_mark_is_found_and_the_twin_is_clean(shown):
    code, document, _ = shown
    assert code == 0
    assert document["found"] is True
    (entry,) = document["marked"]["shortcuts"]
    assert entry["class"] == document["planted"]["class"] == "9"
    assert entry["region"] == list(document["planted"]["region"])
    assert document["planted"]["share"] == pytest.approx(0.9, abs=0.08)
    assert document["clean"]["shortcuts"] == []
    assert document["marked"]["without_the_mark"]["recall"] < entry["recall"]["value"]


def test_every_method_is_scored_against_the_truth(shown):
    document = shown[1]
    assert set(document["methods"]) | set(document["refused"]) == set(CHEAP)
    assert "attention_rollout" in document["refused"]
    attributed = document["methods"]["integrated_gradients"]
    assert attributed["energy"]["mean"] > 3 * attributed["energy"]["random"]
    assert attributed["pointing"]["mean"] > 0.9
    assert attributed["energy"]["p_value"] < 0.01


def test_a_picture_a_report_and_runs_are_left(shown):
    _, document, folder = shown
    with Image.open(document["picture"]) as picture:
        assert picture.size[0] > 800
    assert "Shortcuts" in document["report"].read_text("utf-8")
    for name in ("marked", "clean"):
        run = opsin.Run(folder / name)
        assert run.status == "finished"
        assert len(run.dataset()) == 2000
        assert (folder / name / "evidence" / "shortcuts.json").is_file()
    assert Shortcuts.load(folder / "marked" / "evidence" / "shortcuts.json").failed


def test_a_mark_that_is_not_found_exits_with_one(shown, fewer, tmp_path, monkeypatch, capsys):
    """Planted fault: a search that finds nothing is no success."""
    folder = shown[2]
    runs = {name: opsin.Run(folder / name) for name in ("marked", "clean")}
    monkeypatch.setattr(shortcut, "_train", lambda _data, place, _asked: runs[place.name])
    nothing = Shortcuts.load(folder / "clean" / "evidence" / "shortcuts.json")
    monkeypatch.setattr("opsin.evidence.shortcuts.find_in_run", lambda *_, **__: nothing)
    monkeypatch.setattr("opsin.explanation.methods.METHODS", {"grad_cam": METHODS["grad_cam"]})
    assert main(["demo", "shortcut", "--data", str(fewer), "--out", str(tmp_path / "demo")]) == 1
    text = capsys.readouterr().out
    assert "this is not what was planted" in text
    assert "grad_cam" in text
    assert text.splitlines()[-1].startswith("open ")


def test_the_mark_lies_on_most_images_of_one_class_only(digits):
    planted = shortcut.plant(digits, seed=0)
    top, left, bottom, right = planted.box
    inside = planted.pixels[:, top:bottom, left:right]
    assert (inside[planted.rows] == 255).all()
    assert set(planted.labels[planted.rows].tolist()) == {planted.label}
    assert planted.rows.sum() / (planted.labels == planted.label).sum() == pytest.approx(shortcut.MARKED, abs=0.04)
    assert not (inside[~planted.rows] == 255).all(axis=(1, 2, 3)).any()
    assert sorted(planted.splits.tolist(), key=list(shortcut.KEYS).index) == planted.splits.tolist()


def test_images_of_several_sizes_are_refused(picture_folder, tmp_path, capsys):
    Image.new("RGB", (50, 40)).save(picture_folder / "rocket" / "small.png")
    try:
        assert main(["demo", "shortcut", "--data", str(picture_folder), "--out", str(tmp_path / "out")]) == 2
    finally:
        (picture_folder / "rocket" / "small.png").unlink()
    assert "have 2 sizes, the smallest side being 40 px; expected images of one size" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_flag_that_a_demonstration_does_not_take_is_refused():
    asked = Asked("photos", "mnist5k", None, None, "en", False, {"batch_size": 3})
    with pytest.raises(OpsinError, match="--data has no effect on opsin demo photos"):
        asked.refuse("data", "model")
    with pytest.raises(OpsinError, match="--batch-size has no effect"):
        asked.refuse("model", "settings")
    asked.refuse("model")


def test_json_can_be_written(shown):
    from opsin.files import to_json

    assert json.loads(to_json(shown[1]))["planted"]["region"] == [1, 1, 6, 6]
