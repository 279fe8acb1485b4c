"""`opsin compare` from the outside."""

import json

import numpy as np
import pytest

from opsin.cli import main
from opsin.models.build import build_model


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Two untrained networks and noise with two labels."""
    folder = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 16, 16), dtype=np.uint8)
    np.savez(folder / "noise.npz", images=images, labels=np.array(["ill", "well"] * 30))
    for seed, name in enumerate(("a", "b")):
        model = build_model("simple_cnn", classes=("ill", "well"), channels=1, size=16, seed=seed)
        model.save(folder / f"{name}.safetensors")
    return [str(folder / name) for name in ("a.safetensors", "b.safetensors", "noise.npz")]


def test_the_verdict_for_people(given, capsys):
    assert main(["compare", *given]) == 0
    text = capsys.readouterr().out
    assert "McNemar's exact test: p = " in text
    assert given[0] in text
    assert "60 images" in text


def test_one_json_document(given, capsys):
    assert main(["compare", *given, "--json", "--seed", "2"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["names"] == given[:2]
    assert result["both_right"] + result["only_a"] + result["only_b"] + result["both_wrong"] == result["images"] == 60
    assert result["difference"] == pytest.approx(result["accuracy_b"] - result["accuracy_a"])


def test_other_classes_are_one_line_on_stderr(given, tmp_path, capsys):
    build_model("simple_cnn", classes=("ill", "dead"), channels=1, size=16).save(tmp_path / "other.safetensors")
    assert main(["compare", given[0], str(tmp_path / "other.safetensors"), given[2]]) == 2
    errors = capsys.readouterr().err
    assert "only the first knows ['well'], only the second ['dead']" in errors
    assert errors.count("\n") == 1
