from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.files import read_json, write_json
from opsin.models.build import build_model
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.models.weights import save_weights

OWN = """
from torch import nn
class CNN(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(4, num_classes)
    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))
"""
X = torch.linspace(-1, 1, 144).reshape(1, 1, 12, 12)


@pytest.fixture
def model() -> Classifier:
    return build_model("conv_bn", ["b", "a", "c"], 1, 12, options={"widths": (4, 6), "pools": (1,)}, seed=0)


@pytest.fixture
def run(model: Classifier, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    model.save(folder / "weights" / "best.safetensors")
    write_run(folder, model)
    return folder


def write_run(folder: Path, model: Classifier, /, **changes) -> None:
    described = {
        "opsin": "0",
        "format": 1,
        "model": {**model.architecture(), "parameters": 1, "macs": 2},
        "classes": list(model.classes or ()),
        "preprocess": model.preprocess and model.preprocess.model_dump(mode="json"),
    }
    write_json(folder / "run.json", described | changes)


def test_a_file_comes_back_as_it_was(model: Classifier, tmp_path: Path):
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    assert (again.classes, again.preprocess, again.name) == (model.classes, model.preprocess, "conv_bn")
    assert again.architecture() == model.architecture()
    assert again.origin == tmp_path / "m.safetensors"
    assert not again.module.training
    assert torch.equal(again.logits(X), model.logits(X))


def test_a_run_comes_back_as_it_was(model: Classifier, run: Path):
    again = load_model(str(run))
    assert (again.classes, again.preprocess, again.origin) == (model.classes, model.preprocess, run)
    assert torch.equal(again.logits(X), model.logits(X))
    assert again.architecture() == model.architecture() | {"parameters": 1, "macs": 2}


def test_the_last_weights_of_a_run_or_any_file_can_be_asked_for(model: Classifier, run: Path):
    other = build_model("conv_bn", model.classes, 1, 12, options={"widths": (4, 6), "pools": (1,)}, seed=9)
    other.save(run / "weights" / "last.safetensors")
    assert torch.equal(load_model(run, weights="last").logits(X), other.logits(X))
    assert torch.equal(load_model(run).logits(X), model.logits(X))
    path = run / "weights" / "last.safetensors"
    assert torch.equal(load_model(run, weights=path).logits(X), other.logits(X))


def test_a_run_that_was_stopped_early_gives_its_last_weights(model: Classifier, run: Path):
    best = run / "weights" / "best.safetensors"
    best.rename(best.with_name("last.safetensors"))
    assert torch.equal(load_model(run).logits(X), model.logits(X))
    best.with_name("last.safetensors").unlink()
    with pytest.raises(OpsinError, match=r"has no weights/best\.safetensors yet"):
        load_model(run)


def test_the_order_of_the_classes_is_checked(model: Classifier, run: Path):
    assert load_model(run, classes=["b", "a", "c"]).classes == ("b", "a", "c")
    with pytest.raises(OpsinError, match=r"in another order.*number 0 is 'a' and 'b'"):
        load_model(run, classes=["a", "b", "c"])
    with pytest.raises(OpsinError, match=r"are not those of.*the first \['x'\], only in the second \['c'\]"):
        load_model(run, classes=["a", "b", "x"])
    with pytest.raises(OpsinError, match=r"classes=4 was given.* has 3"):
        load_model(run, classes=4)


def test_a_run_whose_weights_are_of_other_classes_is_refused(model: Classifier, run: Path):
    write_run(run, model, classes=["a", "b", "c"])
    with pytest.raises(OpsinError, match=r"run\.json are in another order than in .*best\.safetensors"):
        load_model(run)


def test_weights_that_do_not_fit_the_description_are_refused(model: Classifier, run: Path):
    info = read_json(run / "run.json")
    info["model"]["options"]["widths"] = [4, 7]
    write_json(run / "run.json", info)
    with pytest.raises(OpsinError, match=r"of another shape: .*is \(6, 4, 3, 3\), expected \(7, 4, 3, 3\)"):
        load_model(run)


def test_a_given_preprocess_replaces_the_stored_one(run: Path):
    mine = Preprocess.simple(channels=1, size=16)
    assert load_model(run, preprocess=mine).preprocess is mine


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "does not describe a network"),
        ({"preprocess": {"mode": "RGB"}}, "the Preprocess in .* is not valid"),
        ({"classes": ["a", "a", "b"]}, "'a' more than once"),
    ],
)
def test_an_edited_description_is_refused(model: Classifier, run: Path, changes: dict, message: str):
    write_run(run, model, **changes)
    with pytest.raises(OpsinError, match=message) as caught:
        load_model(run)
    assert "\n" not in str(caught.value)


def test_what_is_not_a_model_is_refused(model: Classifier, tmp_path: Path):
    (tmp_path / "x.onnx").touch()
    (tmp_path / "x.txt").touch()
    (tmp_path / "x.py").touch()
    (tmp_path / "list.json").write_text("[]")
    save_weights(model.module, tmp_path / "plain.safetensors")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text("[]")
    newer = json.dumps({"format": 2, "architecture": {}})
    save_weights(model.module, tmp_path / "newer.safetensors", {"opsin": newer})
    save_weights(model.module, tmp_path / "edited.safetensors", {"opsin": "{"})
    for name, message in [
        ("", r"is not a run: it has no run\.json"),
        ("odd", "is not a run's description"),
        ("x.onnx", r"cannot open x\.onnx: .*; expected an ONNX network"),
        ("absent.onnx", r"there is no file .*absent\.onnx"),
        ("x.txt", "neither a run folder nor a weights file"),
        ("x.py", r"name its class: .*x\.py:CLASS"),
        ("absent", "there is no run, file or network called"),
        ("absent.safetensors", "there is no weights file"),
        ("plain.safetensors", "does not say which network it belongs to"),
        ("newer.safetensors", "has format 2 and this version reads 1"),
        ("edited.safetensors", "is not JSON"),
    ]:
        with pytest.raises(OpsinError, match=message) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_own_code_with_its_weights(tmp_path: Path):
    (tmp_path / "my.py").write_text(OWN)
    name = f"{tmp_path / 'my.py'}:CNN"
    trained = build_model(name, 5, 1, 12, seed=0)
    torch.save({"state_dict": trained.module.state_dict()}, tmp_path / "x.pth")
    again = load_model(name, classes=list("abcde"), weights=tmp_path / "x.pth")
    assert torch.equal(again.logits(X), trained.logits(X))
    assert again.classes == tuple("abcde")
    same = load_model(tmp_path / "x.pth", module=name, classes=5)
    assert torch.equal(same.logits(X), trained.logits(X))
    given = load_model(tmp_path / "x.pth", module=trained.module, classes=list("abcde"))
    assert given.classes == tuple("abcde")
    with pytest.raises(OpsinError, match=r"fc\.weight is \(5, 4\), expected \(3, 4\)"):
        load_model(name, weights=tmp_path / "x.pth")
    with pytest.raises(OpsinError, match=r"is a weights file and weights=.* is another"):
        load_model(tmp_path / "x.pth", weights=tmp_path / "x.pth")


def test_a_run_of_own_code_runs_it_only_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(project)
    Path("my.py").write_text(OWN)
    model = build_model("my.py:CNN", list("abc"), 1, 12, seed=0)
    model.save("runs/own/weights/best.safetensors")
    write_run(Path("runs/own"), model)
    assert torch.equal(load_model("runs/own").logits(X), model.logits(X))
    monkeypatch.chdir(elsewhere)
    run = project / "runs" / "own"
    with pytest.raises(OpsinError, match="is not in the current folder"):
        load_model(run)
    assert torch.equal(load_model(run, module=f"{project / 'my.py'}:CNN").logits(X), model.logits(X))


@pytest.mark.parametrize("name", ["runs/own/evil.py:CNN", "os:abort"])
def test_code_that_comes_with_a_run_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    model = build_model("simple_cnn", 3, 1, 12)
    model.save("runs/own/weights/best.safetensors")
    Path("runs/own/evil.py").write_text("import pathlib; pathlib.Path('owned').touch()\n" + OWN)
    write_run(Path("runs/own"), model, model={**model.architecture(), "name": name})
    with pytest.raises(OpsinError, match="not run"):
        load_model("runs/own")
    assert not Path("owned").exists()


def test_a_wrapped_module_needs_its_module_again(tmp_path: Path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(144, 2))
    Classifier(module, ["a", "b"], Preprocess.simple(channels=1, size=12)).save(tmp_path / "m.safetensors")
    with pytest.raises(OpsinError, match=r"was a wrapped object.*give the module"):
        load_model(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors", module=nn.Sequential(nn.Flatten(), nn.Linear(144, 2)))
    assert again.classes == ("a", "b")
    assert again.preprocess == Preprocess.simple(channels=1, size=12)
    torch.testing.assert_close(again.logits(X), module(X).detach())


def test_a_module_is_wrapped():
    module = nn.Sequential(nn.Flatten(), nn.Linear(144, 2))
    assert load_model(module, classes=["a", "b"]).module is module
