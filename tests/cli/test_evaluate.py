"""`opsin evaluate` from the outside."""

import json

import numpy as np
import pytest

from opsin.cli import main
from opsin.models.build import build_model
from opsin.records import Scores


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Noise with two labels, as an .npz file."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    np.savez(path, images=rng.integers(0, 256, (60, 16, 16), dtype=np.uint8), labels=np.array(["ill", "well"] * 30))
    return str(path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    build_model("simple_cnn", classes=("ill", "well"), channels=1, size=16, seed=0).save(path)
    return str(path)


def test_figures_for_people(weights, arrays, capsys):
    assert main(["evaluate", weights, arrays]) == 0
    text = capsys.readouterr().out
    assert text.startswith("accuracy")
    assert "60 images" in text
    assert "note: it is not known which images the model was trained on" in text


def test_one_json_document_and_a_file(weights, arrays, tmp_path, capsys):
    assert main(["evaluate", weights, arrays, "--json", "--out", str(tmp_path / "scores.json"), "--seed", "4"]) == 0
    text = capsys.readouterr().out
    scores = json.loads(text)
    assert scores["images"] == 60
    assert set(scores["accuracy_interval"]) == {"low", "high"}
    assert Scores.load(tmp_path / "scores.json").accuracy == scores["accuracy"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{folder}/none.safetensors", "{arrays}"], "there is no weights file"),
        (["{weights}", "{folder}/none"], "none"),
        (["{weights}", "{arrays}", "--out", "{folder}"], "is a folder; give the name of a file"),
    ],
)
def test_misuse_is_one_line_on_stderr(weights, arrays, tmp_path, capsys, arguments, says):
    filled = [text.format(weights=weights, arrays=arrays, folder=tmp_path) for text in arguments]
    assert main(["evaluate", *filled]) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.count("\n") == 1


def test_other_classes_are_one_line_on_stderr(arrays, tmp_path, capsys):
    build_model("simple_cnn", classes=("cat", "dog"), channels=1, size=16).save(tmp_path / "pets.safetensors")
    assert main(["evaluate", str(tmp_path / "pets.safetensors"), arrays]) == 2
    assert "does not know the class 'ill' and 1 more of the data" in capsys.readouterr().err
