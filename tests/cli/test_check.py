"""`opsin check` from the outside."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.cli import main
from opsin.data.preprocess import Preprocess
from opsin.records import Evidence

FAITHFUL = ["--measures", "deletion", "--measures", "insertion", "--steps", "5"]


@pytest.fixture(scope="module")
def given(digits, digits_run, tmp_path_factory):
    """A run, and pictures of digits in a folder."""
    folder = tmp_path_factory.mktemp("pictures")
    test = digits.test
    pixels = test.pixels(Preprocess.simple(1, 28))
    for digit in range(10):
        for turn in range(4):
            picture = pixels[np.flatnonzero(test.labels == digit)[turn]].squeeze()
            Image.fromarray(picture).save(folder / f"{digit}-{turn}.png")
    return [str(digits_run.path), str(folder)]


def test_the_verdict_for_people(given, capsys):
    assert main(["check", *given, *FAITHFUL]) == 0
    text = capsys.readouterr().out
    assert text.startswith("grad_cam at ")
    assert "40 images: better than random" in text
    assert "\ndeletion " in text
    assert "the sanity check was not made" in text


def test_one_json_document_and_a_file(given, tmp_path, capsys):
    out = tmp_path / "proof.json"
    assert main(["check", *given, *FAITHFUL, "--method", "saliency", "--json", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"] == "better than random"
    assert result["method"] == "saliency"
    assert result["measures"]["deletion"]["protocol"]["steps"] == 5
    expected = [f"{digit}-{turn}.png" for digit in range(10) for turn in range(4)]
    assert [Path(name).name for name in result["names"]] == expected
    assert Evidence.load(out).verdict == "better than random"


def test_a_failed_check_exits_with_one(given, capsys):
    command = ["check", *given, "--method", "guided_backprop", "--measures", "randomisation"]
    assert main(command) == 1
    assert "fails the sanity check" in capsys.readouterr().out


def test_an_unreadable_picture_is_named_and_the_others_are_checked(given, tmp_path, capsys):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    assert main(["check", *given, str(tmp_path / "torn.png"), *FAITHFUL, "--json"]) == 0
    said = capsys.readouterr()
    assert "torn.png  not read" in said.err
    result = json.loads(said.out)
    assert len(result["names"]) == 40
    assert result["unreadable"][0]["path"].endswith("torn.png")
    assert main(["check", given[0], str(tmp_path / "torn.png")]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{folder}", "--method", "grad_cat"], "did you mean grad_cam"),
        (["{folder}", "--measures", "deletio"], "there is no measure 'deletio'"),
        (["{folder}", "--steps", "0"], "steps was given as 0"),
        (["{folder}", "--target", "all"], "--target all stands for several classes"),
        (["{folder}", "--layer", "conv9"], "there is no layer 'conv9'"),
    ],
)
def test_misuse_is_one_line(given, words, message, capsys):
    command = [given[1] if word == "{folder}" else word for word in words]
    assert main(["check", given[0], *command]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_two_methods_are_two_tables_or_one_document(given, capsys):
    command = ["check", *given, *FAITHFUL, "--method", "saliency", "--method", "input_x_gradient"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert text.startswith("saliency of ")
    assert "\n\ninput_x_gradient of " in text
    assert main([*command, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["methods"]) == ["saliency", "input_x_gradient"]
    assert main([*command, "--out", "proof.json"]) == 2
    assert "--out takes the evidence of one method, and 2 were given" in capsys.readouterr().err


@pytest.fixture
def own_run(given, tmp_path):
    """A copy of the run, which others must find as it was; without the records that make its report slow."""
    return shutil.copytree(given[0], tmp_path / "run", ignore=shutil.ignore_patterns("embeddings", "snapshots"))


def test_a_runs_own_images_are_explained_kept_and_reported(own_run, capsys):
    (own_run / "report.html").write_text('<!DOCTYPE html>\n<html lang="zh-CN" data-title-en="x">')
    command = ["check", str(own_run), *FAITHFUL, "--sample", "12", "--method", "saliency"]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["verdict"], len(result["names"])) == ("better than random", 12)
    assert Path(result["kept"]) == own_run / "evidence"
    assert Evidence.load(own_run / "evidence" / "saliency.json").names == tuple(result["names"])
    assert "report" not in result
    assert main([*command, "--method", "guided_backprop", "--measures", "randomisation", "--report"]) == 1
    said = capsys.readouterr()
    assert said.out.endswith(f"open {own_run / 'report.html'}\n")
    assert said.err == ""
    page = (own_run / "report.html").read_text("utf-8")
    assert '<html lang="zh-CN"' in page[:200]  # it opens in the language that it had
    assert 'class="badge better"' in page
    assert 'class="badge fails"' in page


def test_given_images_leave_the_run_as_it_is(own_run, given, capsys):
    before = sorted(path.name for path in own_run.rglob("*"))
    assert main(["check", str(own_run), given[1], *FAITHFUL, "--method", "saliency"]) == 0
    assert "kept" not in capsys.readouterr().out
    assert sorted(path.name for path in own_run.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{weights}"], "no images were given; give files or a folder (only a run has images of its own)"),
        (["{run}", "{folder}", "--report"], "--report is about a run's own images"),
        (["{run}", "{folder}", "--sample", "3"], "--sample is about a run's own images"),
        (["{run}", "--sample", "0"], "images was given as 0"),
        (["{run}", "--weights", "{weights}"], "is checked as it is when no images are given"),
        (["{run}", "--method", "grad_cat"], "did you mean grad_cam"),
    ],
)
def test_misuse_of_a_runs_own_images_is_one_line(given, words, message, capsys):
    places = {"{run}": given[0], "{folder}": given[1], "{weights}": f"{given[0]}/weights/best.safetensors"}
    assert main(["check", *(places.get(word, word) for word in words)]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_the_public_names():
    assert opsin.Evidence is Evidence
