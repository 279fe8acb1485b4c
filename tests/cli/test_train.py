"""`opsin train` and `opsin demo`: what they print, what they leave, how they go on."""

import json

import pytest

import opsin
from opsin.cli import main
from opsin.files import read_json, write_json

QUICK = ["--model", "lenet5", "--epochs", "1", "--batch-size", "256", "--no-record", "--embeddings", "0"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_needs_only_data_and_says_where_the_run_is(here, capsys):
    assert main(["train", "mnist5k", *QUICK]) == 0
    captured = capsys.readouterr()
    assert "accuracy" in captured.out
    assert captured.out.splitlines()[-1].startswith("runs/mnist5k")
    assert "recipe: epochs=1" in captured.err
    assert "note: no groups are known" in captured.err
    assert opsin.Run(here / "runs" / "mnist5k").status == "finished"
    assert main(["train", "mnist5k", *QUICK]) == 0
    assert (here / "runs" / "mnist5k-2" / "run.json").exists()
    assert main(["train", "mnist5k", "--out", "runs/mnist5k"]) == 2
    assert "runs/mnist5k exists" in capsys.readouterr().err


def test_json_is_one_document_on_stdout(here, capsys):
    assert main(["train", "mnist5k", *QUICK, "--report", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["status"] == "finished"
    assert 0 < result["scores"]["accuracy"] <= 1
    keys = list(result["scores"])
    assert keys.index("accuracy") < keys.index("baselines")
    assert (here / result["report"]).read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_a_recipe_file_is_read_and_flags_win_over_it(here, capsys):
    (here / "quick.toml").write_text(
        "epochs = 1\nbatch_size = 256\nrecord = false\nembeddings = 0\nlabel_smoothing = 0.2\n"
    )
    assert main(["train", "mnist5k", "--model", "lenet5", "--recipe", "quick.toml", "--batch-size", "500"]) == 0
    recipe = read_json(here / "runs" / "mnist5k" / "run.json")["recipe"]
    assert (recipe["label_smoothing"], recipe["batch_size"]) == (0.2, 500)
    (here / "wrong.toml").write_text("epoch = 1\n")
    assert main(["train", "mnist5k", "--recipe", "wrong.toml"]) == 2
    assert "did you mean epochs?" in capsys.readouterr().err


def test_a_run_is_a_recipe_that_repeats_it_with_its_own_network(here, digits):
    model = opsin.build_model(
        "conv_bn", classes=digits.classes, channels=1, size=28, seed=0, options={"widths": [8, 12], "pools": [1, 2]}
    )
    recipe = opsin.Recipe(epochs=1, batch_size=256, record=False, embeddings=0)
    first = opsin.train(model, digits, recipe, out=here / "first")
    assert main(["train", "--recipe", "first", "--out", "second"]) == 0
    second = opsin.Run(here / "second")
    assert second.info["model"] == first.info["model"]
    for name in ("best", "last"):
        path = f"weights/{name}.safetensors"
        assert (second.path / path).read_bytes() == (first.path / path).read_bytes()
    assert main(["train", "--recipe", "first/run.json", "--seed", "1", "--out", "third"]) == 0
    path = "weights/last.safetensors"
    assert (here / "third" / path).read_bytes() != (first.path / path).read_bytes()


def test_resume_finds_the_run_by_its_data_and_refuses_other_settings(here, capsys):
    assert main(["train", "mnist5k", *QUICK]) == 0
    about = here / "runs" / "mnist5k" / "run.json"
    write_json(about, {**read_json(about), "status": "running"})
    before = (here / "runs" / "mnist5k" / "weights" / "last.safetensors").read_bytes()
    assert main(["train", "mnist5k", "--resume", "--epochs", "5"]) == 2
    assert "was begun with epochs=1, not 5" in capsys.readouterr().err
    assert main(["train", "mnist5k", "--resume"]) == 0
    assert read_json(about)["status"] == "finished"
    assert (here / "runs" / "mnist5k" / "weights" / "last.safetensors").read_bytes() == before
    assert main(["train", "fashion-mnist", "--resume"]) == 2
    assert "no run of fashion-mnist in runs" in capsys.readouterr().err


def test_a_diverging_run_is_exit_1(here, capsys):
    tokens = ["train", "mnist5k", "--model", "lenet5", "--epochs", "1", "--optimizer", "sgd", "--lr", "1e30"]
    assert main([*tokens, "--schedule", "constant", "--no-record"]) == 1
    assert "the loss became" in capsys.readouterr().err
    assert opsin.Run(here / "runs" / "mnist5k").status == "failed"


def test_the_demo_leaves_a_run_and_a_report(here, capsys):
    assert main(["demo", "digits", *QUICK]) == 0
    captured = capsys.readouterr()
    page, inside = captured.out.splitlines()[-2:]
    assert page == "open runs/digits/report.html"
    assert inside.startswith("or look inside: ")
    assert inside.endswith("opsin studio runs/digits")
    assert "HOG + logistic regression" in captured.out
    assert (here / "runs" / "digits" / "report.html").exists()
