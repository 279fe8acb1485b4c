"""Embeddings: the features that the network has, measured projections, and motion that means change."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

import opsin
from opsin.errors import CheckFailed, OpsinError
from opsin.explanation.inside.embed import embed as public
from opsin.explanation.inside.embed import purity
from opsin.records import FeatureSpace


@pytest.fixture(scope="module")
def model(digits):
    """Untrained: also random convolutions keep digits of one class together."""
    return opsin.build_model("seed_cnn", classes=digits.classes, channels=1, size=28, seed=0)


@pytest.fixture(scope="module")
def space(model, digits):
    return public(model, digits.validation, most=150)


def test_the_default_is_what_the_last_linear_layer_is_given(model, space, digits):
    assert space.layer == "relu3"
    assert space.features.shape == (150, 128)
    rows = [list(digits.names).index(name) for name in space.names[:5]]
    inputs = model.preprocess.normalise(np.asarray(digits.pixels(model.preprocess)[rows]))
    with torch.no_grad():
        logits = model.module.fc2(torch.from_numpy(space.features[:5]))
    np.testing.assert_allclose(logits, model.logits(inputs), atol=1e-4)
    np.testing.assert_array_equal(space.labels[:5], digits.labels[rows])


def test_pca_trustworthiness_and_purity_equal_scikit_learn(space):
    features = space.features.astype(np.float64)
    reference = PCA(2).fit(features)
    np.testing.assert_allclose(space.explained, reference.explained_variance_ratio_, rtol=1e-6)
    points = reference.transform(features)
    signs = np.sign((points * space.projection).sum(axis=0))
    np.testing.assert_allclose(points * signs, space.projection, atol=1e-3)
    expected = trustworthiness(features, space.projection.astype(np.float64), n_neighbors=10)
    assert space.trustworthiness == pytest.approx(expected)
    nearest = KNeighborsClassifier(10).fit(features, space.labels).kneighbors(return_distance=False)
    assert space.purity == pytest.approx((space.labels[nearest] == space.labels[:, None]).mean(), abs=0.01)


def test_purity_of_digits_is_high_and_of_shuffled_labels_is_chance(space):
    assert space.purity > 0.4
    assert space.purity_chance == pytest.approx(0.1, abs=0.03)
    shuffled = np.random.default_rng(0).permutation(space.labels)
    assert purity(space.features.astype(np.float64), shuffled, 10) == pytest.approx(space.purity_chance, abs=0.05)


def test_tsne_adapts_its_perplexity_and_is_the_same_for_a_seed(model, digits):
    first, second = (public(model, digits.validation, method="tsne", most=20, seed=3) for _ in range(2))
    assert first.settings["perplexity"] == pytest.approx(19 / 3)
    np.testing.assert_array_equal(first.projection, second.projection)
    assert first.explained is None
    assert np.isfinite(first.projection).all()
    assert public(model, digits.validation, method="tsne", most=4).projection.shape == (4, 2)


def test_alignment_undoes_turning_mirroring_moving_and_scaling(model, space, digits):
    turn = np.array([[0.6, -0.8], [-0.8, -0.6]])  # a rotation with a reflection
    moved = dataclasses.replace(space, projection=(3 * space.projection @ turn + [5, -2]).astype(np.float32))
    aligned = public(model, digits.validation, most=150, aligned_to=moved)
    np.testing.assert_allclose(aligned.projection, moved.projection, atol=1e-3)
    assert aligned.misfit == pytest.approx(0, abs=1e-6)
    assert aligned.settings["scaled_by"] == pytest.approx(3, rel=1e-4)


def test_alignment_over_common_images_only_and_what_changed_is_said(model, space, digits):
    other = public(model, digits.validation, "conv1", most=150)
    aligned = public(model, digits.validation, most=150, aligned_to=other)
    assert 0.05 < aligned.misfit <= 1
    assert "has changed" in aligned.text()
    rows = slice(20, 60)
    fewer = dataclasses.replace(
        space, names=space.names[rows], projection=space.projection[rows], features=space.features[rows], labels=None
    )
    again = public(model, digits.validation, most=150, aligned_to=fewer)
    assert again.settings["aligned_by"] == 40
    np.testing.assert_allclose(again.projection, space.projection, atol=1e-3)


def test_tsne_starts_where_the_other_one_ended(model, digits):
    before = public(model, digits.validation, method="tsne", most=60)
    after = public(model, digits.validation, method="tsne", most=60, aligned_to=before)
    fresh = public(model, digits.validation, method="tsne", most=60, seed=0)
    assert after.settings["start"] == "aligned_to"
    assert fresh.settings["start"] == "pca"
    assert after.misfit < 0.3


@pytest.mark.parametrize(
    ("layer", "features", "pooled"), [("conv1", 32, "mean over 26 x 26 places"), ("fc1", 128, "as it is")]
)
def test_layers_are_pooled_as_is_said(model, digits, layer, features, pooled):
    found = public(model, digits.validation, layer, method=None, most=10)
    assert found.features.shape == (10, features)
    assert found.pooled == pooled
    assert found.projection is None


def test_a_transformer_gives_its_class_token():
    vit = opsin.build_model("vit_small", classes=3, channels=1, size=16, seed=0)
    images = torch.randn(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    found = public(vit, images, method=None)
    assert (found.layer, found.pooled) == ("input of head", "as it is")
    inner = public(vit, images, "norm", method=None)
    assert inner.pooled == "class token"
    np.testing.assert_allclose(inner.features, found.features, atol=1e-5)
    assert found.labels is None
    assert found.purity is None


def test_records_survive_the_disk(space, tmp_path):
    space.save(tmp_path / "space.safetensors")
    loaded = FeatureSpace.load(tmp_path / "space.safetensors")
    assert loaded.text() == space.text()
    np.testing.assert_array_equal(loaded.features, space.features)
    assert loaded.as_dict()["images"][0] == space.as_dict()["images"][0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layer": "fc9"}, "the nearest names are fc"),
        ({"method": "umap"}, "expected pca, tsne or None"),
        ({"components": 0}, "at least 1, 1 and 4"),
        ({"components": 3, "method": "tsne"}, "leave it at 2"),
        ({"components": 200}, "expected at most"),
    ],
)
def test_bad_settings_are_one_clear_line(model, digits, settings, said):
    with pytest.raises(OpsinError, match=said):
        public(model, digits.validation, most=30, **settings)


def test_bad_images_are_one_clear_line(model, space, digits):
    grey = np.zeros((28, 28), np.uint8)
    with pytest.raises(OpsinError, match="1 images were given; expected at least 4"):
        public(model, [grey])
    with pytest.raises(OpsinError, match="the same features for all 5 images"):
        public(model, [grey] * 5)
    with pytest.raises(OpsinError, match="has 0 of these images"):
        public(model, digits.test, most=10, aligned_to=space)
    with pytest.raises(OpsinError, match="aligned_to needs two projections"):
        public(model, digits.test, method=None, aligned_to=space)


def test_diverged_weights_are_found_out(digits):
    model = opsin.build_model("seed_cnn", classes=digits.classes, channels=1, size=28, seed=0)
    torch.nn.init.constant_(model.module.fc1.bias, torch.nan)
    with pytest.raises(CheckFailed, match="not finite"):
        public(model, digits.validation, most=10)
