"""Layer by layer: what is readable, what becomes abstract, what stays sensitive."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

import opsin
from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.explanation.inside.features import Pooling, list_layers, penultimate
from opsin.explanation.inside.layers import layers as public
from opsin.explanation.inside.probing import fit_probe, reduced
from opsin.explanation.inside.transforms import read_transforms, shift_pixels, transform
from opsin.records import LayerProbes

SIZE = 12


class Sums(nn.Module):
    """The class is the sign of a product, which no linear probe reads from the pixels; `square` makes it linear, `mean`
    forgets where, `forget` forgets all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 1)
        self.square = Square()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, -1, 2, 0]).view(4, 1, 1, 1))
            self.conv.bias.zero_()

    def forward(self, x):
        return self.head(self.pool(self.square(self.conv(x))).flatten(1))


class Square(nn.Module):
    def forward(self, x):
        return x.square()


@pytest.fixture(scope="module")
def data():
    """Class b has strong contrasts of either sign, class a weak ones: both have the same mean."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 2
    contrast = np.where(labels, 60, 30)[:, None, None]
    images = (128 + contrast * rng.standard_normal((160, SIZE, SIZE))).clip(0, 255).astype(np.uint8)
    splits = ["train"] * 100 + ["validation"] * 40 + ["test"] * 20
    return Dataset.from_arrays(images, labels.tolist(), ("a", "b"), splits=splits)


@pytest.fixture(scope="module")
def model():
    preprocess = Preprocess(mode="L", height=SIZE, width=SIZE, mean=(0.5,), std=(0.25,))
    return opsin.Classifier(Sums(), classes=("a", "b"), preprocess=preprocess)


@pytest.fixture(scope="module")
def found(model, data):
    return public(model, data, transformed=12)


def test_the_class_becomes_readable_where_it_becomes_linear(found):
    assert [row.layer for row in found.rows] == ["pixels", "conv", "square", "pool", "head"]
    assert [row.depth for row in found.rows] == [0, 1, 2, 3, 4]
    accuracy = {row.layer: row.accuracy for row in found.rows}
    assert max(accuracy["pixels"], accuracy["conv"]) < 0.8
    assert min(accuracy["square"], accuracy["pool"]) > 0.95
    assert found.readable.layer == "square"
    assert "linearly readable at square" in found.text()
    assert found.chance == 0.5
    assert (found.trained, found.validated, found.transformed) == (100, 40, 12)


def test_pooling_forgets_where_and_places_do_not(found):
    """A shift of noise changes every place, and the mean of squares hardly."""
    pixels, square = found.rows[0], found.rows[2]
    shift = found.transforms.index(("shift", 0.2))
    assert pixels.kept(pooled=False)[shift] < 0.2
    assert square.kept(pooled=False)[shift] < 0.6
    assert square.kept()[shift] > 0.8
    assert abs(pixels.control) < 0.2
    assert pixels.pooled_spread == pytest.approx(1)  # the mean of grey pixels has one direction only
    assert all(row.interval.low <= row.accuracy <= row.interval.high for row in found.rows)


def test_no_transform_keeps_everything_and_a_larger_one_less(model, data):
    asked = {"shift": [0, 0.1], "rotation": [0, 40], "scale": [1]}
    found = public(model, data, layers=["square"], transforms=asked, transformed=8)
    for row in found.rows:
        for (kind, amount), kept in zip(found.transforms, row.kept(pooled=False), strict=True):
            nothing = amount == (1 if kind == "scale" else 0)
            assert (kept == pytest.approx(1, abs=1e-5)) if nothing else (kept < 0.9)


def test_likeness_is_the_cosine_of_centred_features(model, data):
    """The slow twin, all at once."""
    found = public(model, data, layers=["square"], transforms={"rotation": [90]}, transformed=40)
    pixels = data.validation.pixels(model.preprocess)

    def features(images):
        with torch.no_grad():
            inputs = model.preprocess.normalise(images)
            return model.module.conv(inputs).square().flatten(1).double().numpy()

    own, other = features(pixels), features(transform(pixels, "rotation", 90))
    centre = own.mean(axis=0)
    own, other = own - centre, other - centre
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    row = found.rows[1]
    assert row.likeness[0] == pytest.approx((own * other).sum(axis=1).mean(), abs=1e-5)
    cosines = own @ own.T
    assert row.control == pytest.approx(cosines[~np.eye(40, dtype=bool)].mean(), abs=1e-5)


def test_the_test_split_is_never_touched(model, data, found):
    spoilt = np.array(data.pictures)
    spoilt[140:] = 255 * (np.arange(20) % 2)[:, None, None]
    other = Dataset.from_arrays(spoilt, data.labels.tolist(), data.classes, splits=data.splits.tolist())
    again = public(model, other, transformed=12)
    assert json.dumps(again.as_dict()) == json.dumps(found.as_dict())


def test_labels_that_mean_nothing_are_readable_nowhere(model, data):
    """The planted fault: a probe that is measured on what it was fitted on would read anything."""
    labels = np.random.default_rng(1).permutation(data.labels)
    shuffled = Dataset.from_arrays(data.pictures, labels.tolist(), data.classes, splits=data.splits.tolist())
    found = public(model, shuffled, layers=["conv", "square"], transforms={})
    assert max(row.train_accuracy for row in found.rows) > 0.9
    assert found.readable is None
    assert "linearly readable nowhere" in found.text()


def test_a_probe_equals_scikit_learns_pipeline():
    rng = np.random.default_rng(0)
    train, measured = rng.normal(size=(120, 7)) * 5 + 3, rng.normal(size=(50, 7)) * 5 + 3
    labels, truth = (train[:, 0] + train[:, 1] > 6).astype(int), (measured[:, 0] + measured[:, 1] > 6).astype(int)
    probe = fit_probe(train, labels, measured, truth)
    scaler = StandardScaler().fit(train)
    reference = LogisticRegression(C=probe.strength, tol=1e-3).fit(scaler.transform(train), labels)
    assert probe.hits.mean() == pytest.approx(reference.score(scaler.transform(measured), truth), abs=0.021)
    assert probe.converged


def test_random_projections_are_stated_and_only_made_where_needed():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(10, 900))
    small, other, projected = reduced(wide, wide, 512, seed=0)
    assert projected
    assert small.shape == (10, 512)
    np.testing.assert_array_equal(small, other)
    lengths = np.linalg.norm(small, axis=1) / np.linalg.norm(wide, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=0.15)
    assert reduced(wide[:, :5], wide[:, :5], 512, seed=0)[2] is False


@pytest.mark.parametrize("amount", [0.1, 0.25])
def test_a_shift_moves_pixels_and_mirrors_the_border(amount):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 1), dtype=np.uint8)
    step = shift_pixels(amount, (8, 8))
    moved = transform(pixels, "shift", amount)
    np.testing.assert_array_equal(moved[0, :, step:], pixels[0, :, :-step])  # to the right
    np.testing.assert_array_equal(moved[1, step:], pixels[1, :-step])  # down
    np.testing.assert_array_equal(moved[2, :, :-step], pixels[2, :, step:])  # to the left
    np.testing.assert_array_equal(moved[3, :-step], pixels[3, step:])  # up
    np.testing.assert_array_equal(moved[0, :, step - 1], pixels[0, :, 1])  # mirrored


def test_a_quarter_turn_and_scales_are_those_of_numpy():
    pixels = np.random.default_rng(0).integers(0, 255, (2, 9, 9, 3), dtype=np.uint8)
    turned = transform(pixels, "rotation", 90)
    np.testing.assert_array_equal(turned[0], np.rot90(pixels[0], -1))
    np.testing.assert_array_equal(turned[1], np.rot90(pixels[1], 1))
    blob = np.zeros((1, 33, 33, 1), np.uint8)
    blob[0, 12:21, 12:21] = 255
    for factor in (0.5, 2.0):
        # without the mirrored copies that come in at the border
        middle = transform(blob, "scale", factor)[0, 6:27, 6:27].astype(float)
        assert middle.sum() == pytest.approx(factor**2 * blob.astype(float).sum(), rel=0.25)
    assert transform(pixels, "rotation", 33).min() > 0  # no black corner


def test_layers_and_the_penultimate_one_are_found_in_every_kind_of_network():
    inputs = torch.randn(1, 3, 32, 32)
    expected = {"seed_cnn": "relu3", "resnet_small": "pool", "vit_small": "input of head"}
    for name, last in expected.items():
        model = opsin.build_model(name, classes=4, channels=3, size=32)
        assert penultimate(model, inputs) == last
        listed = list_layers(model, inputs)
        assert 5 <= len(listed) <= 12
        known = [layer for layer, _ in model.module.named_modules()]
        assert all(layer in known for layer in listed)
    with pytest.raises(OpsinError, match="do not come from a linear layer"):
        penultimate(opsin.Classifier(nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())), inputs)


def test_pooling_says_what_it_did():
    model = opsin.Classifier(nn.Conv2d(1, 1, 1))
    maps = torch.arange(2 * 3 * 16.0).view(2, 3, 4, 4)
    mean, fine, regions = (Pooling(model, (8, 8), most) for most in (None, 48, 12))
    np.testing.assert_allclose(mean("x", maps), maps.mean(dim=(2, 3)))
    assert mean.how["x"] == "mean over 4 x 4 places"
    assert fine("x", maps).shape == (2, 48)
    assert fine.how["x"] == "all 4 x 4 places"
    assert regions("x", maps).shape == (2, 12)
    assert regions.how["x"] == "means over 2 x 2 regions"
    with pytest.raises(OpsinError, match="expected maps"):
        mean("x", torch.zeros(2, 3, 4, 4, 4))


def test_records_survive_the_disk(found, tmp_path):
    found.save(tmp_path / "layers.json")
    loaded = LayerProbes.load(tmp_path / "layers.json")
    assert loaded.text() == found.text()
    assert json.dumps(loaded.as_dict()) == json.dumps(found.as_dict())
    assert loaded.rows[2].interval == found.rows[2].interval
    (tmp_path / "layers.json").write_text('{"rows": []}')
    with pytest.raises(OpsinError, match="holds no LayerProbes"):
        LayerProbes.load(tmp_path / "layers.json")


def test_sentences_follow_the_numbers(found):
    """The planted fault: another number has to give another sentence."""
    amounts = len(found.transforms)
    sure = dataclasses.replace(found.rows[-1], pooled_likeness=np.full(amounts, 0.99), pooled_control=0.0)
    unsure = dataclasses.replace(sure, pooled_likeness=np.full(amounts, 0.1))
    steady, touchy = (dataclasses.replace(found, rows=(*found.rows[:-1], row)) for row in (sure, unsure))
    assert steady.indifferent(sure, "rotation") == 90
    assert steady.sensitive(sure, "rotation") is None
    assert touchy.indifferent(unsure, "rotation") is None
    assert touchy.sensitive(unsure, "rotation") == 5
    assert "it is indifferent to rotation up to 90 degrees" in steady.text()
    assert "it is changed by any rotation, and loses more than half of its likeness from 5 degrees on" in touchy.text()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layers": ["sqare"]}, "no layer 'sqare'; the nearest names are square"),
        ({"layers": []}, "no layer was named"),
        ({"transforms": {"spin": [1]}}, "no transform 'spin'; expected shift, rotation, scale"),
        ({"transforms": {"scale": [9]}}, "expected an amount from 0.25 to 4"),
        ({"transformed": 1}, "expected 2, 2 and 0 or more"),
    ],
)
def test_bad_settings_are_one_clear_line(model, data, settings, said):
    with pytest.raises(OpsinError, match=said):
        public(model, data, **settings)


def test_images_without_labels_a_single_split_and_a_single_class_are_refused(model, data):
    pictures = np.asarray(data.pictures)
    with pytest.raises(OpsinError, match="without labels; expected a Dataset"):
        public(model, pictures)
    with pytest.raises(OpsinError, match="was given one split, train"):
        public(model, data.train)
    labels = ["a"] * 20 + ["b"] * 20
    one = Dataset.from_arrays(pictures[:40], labels, splits=["train"] * 20 + ["validation"] * 20)
    with pytest.raises(OpsinError, match="are of one class; expected at least two"):
        public(model, one)
    unmeasured = Dataset.from_arrays(pictures[:40], labels, splits=["train"] * 39 + ["validation"])
    with pytest.raises(OpsinError, match="has 1 validation images; expected at least 2"):
        public(model, unmeasured)
    with pytest.raises(OpsinError, match="has no Preprocess"):
        public(Sums(), data)


def test_one_amount_may_stand_alone():
    assert read_transforms({"shift": 0.1}) == (("shift", 0.1),)
