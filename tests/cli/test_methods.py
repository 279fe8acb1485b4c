"""`opsin methods`: what there is, and what to begin with."""

import json

import pytest
import torch

import opsin
from opsin.cli import main
from opsin.explanation.methods import METHODS
from opsin.explanation.recommend import ADVICE, BLACK_BOX


def test_the_table_has_every_method_and_every_kind_of_network(capsys):
    assert main(["methods"]) == 0
    captured = capsys.readouterr()
    assert not captured.err
    lines = captured.out.splitlines()
    for name, method in METHODS.items():
        row = next(line for line in lines if line.split()[0] == name)
        assert method.family in row
        assert method.needs in row
        assert any(method.fails in line for line in lines)
    for advice in (*ADVICE, BLACK_BOX):
        assert any(advice.kind in line and advice.method in line for line in lines)


def test_json_says_the_same(capsys):
    assert main(["methods", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["methods"]] == list(METHODS)
    assert {row["name"] for row in found["methods"] if not row["class_specific"]} == {"eigen_cam", "attention_rollout"}
    assert [row["method"] for row in found["by_architecture"]] == [item.method for item in (*ADVICE, BLACK_BOX)]
    assert "recommended" not in found


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.safetensors"
    opsin.build_model("resnet_small", classes=3, channels=3, size=72, seed=0).save(path)
    return path


def test_a_model_gets_a_method_with_its_layer_and_the_reason(model, capsys):
    assert main(["methods", str(model)]) == 0
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0] == f"recommended for {model}: softmax_cam, layer stages"
    assert "costs one pass" in last[1]
    assert main(["methods", str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["recommended"]
    assert (found["method"], found["layer"], found["options"]) == ("softmax_cam", "stages", {})
    why = opsin.explain(opsin.load_model(model), torch.randn(1, 3, 72, 72), found["method"], 0, found["layer"])
    assert why.maps.any()


def test_what_is_no_model_is_one_line(capsys):
    assert main(["methods", "nowhere"]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err == "opsin: there is no run, file or network nowhere; give the path of a run folder\n"
