"""How alike maps are: against SciPy and scikit-image, and in cases that are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

import opsin
from opsin.errors import OpsinError
from opsin.evidence.agreement import similarity, spearman, top_overlap


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 4, 12, 12)).astype(np.float32)


def test_spearman_is_that_of_scipy(maps):
    first, second = maps
    second = np.round(second)  # ties
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(spearman(first, second), expected, atol=1e-12)


def test_flat_maps_are_alike_and_have_nothing_in_common_with_others(maps):
    flat = np.full((4, 12, 12), 2.0)
    np.testing.assert_array_equal(spearman(flat, 0 * flat), 1)
    np.testing.assert_array_equal(spearman(flat, maps[0]), 0)
    np.testing.assert_array_equal(top_overlap(flat, maps[0], 0.1), 0)


def test_similarity_is_that_of_scikit_image_on_scaled_maps(maps):
    def scaled(one):
        return (one - one.min()) / (one.max() - one.min())

    expected = [structural_similarity(scaled(a), scaled(b), data_range=1.0) for a, b in zip(*maps, strict=True)]
    np.testing.assert_allclose(similarity(*maps), expected, atol=1e-6)
    np.testing.assert_allclose(similarity(maps[0], 3 * maps[0] + 5), 1, atol=1e-5)
    assert similarity(maps[0][:, :4, :4], maps[1][:, :4, :4]).shape == (4,)


def test_overlap_of_the_highest_places():
    first, second = np.zeros((1, 10, 10)), np.zeros((1, 10, 10))
    first[0, 0], second[0, 0, :5], second[0, 1, :5] = 1, 1, 1
    assert top_overlap(first, second, 0.1)[0] == pytest.approx(5 / 15)
    assert top_overlap(first, first, 0.1)[0] == 1


def test_agreement_of_an_explanation(maps, explained):
    inputs = np.zeros((4, 1, 12, 12))
    a, b = (explained(part, inputs) for part in maps)
    same = opsin.agreement(a, a)
    np.testing.assert_allclose([same.spearman, same.ssim, same.iou], 1)
    other = opsin.agreement(a, b, top=0.2)
    assert other.top == 0.2
    assert abs(other.spearman.mean()) < 0.2
    assert other.as_dict()["mean_spearman"] == pytest.approx(other.spearman.mean())
    opposite = opsin.agreement(a, dataclasses.replace(a, maps=-a.maps))
    np.testing.assert_allclose(opposite.spearman, -1)
    np.testing.assert_array_equal(opposite.iou, 0)


def test_bad_input(maps, explained):
    inputs = np.zeros((4, 1, 12, 12))
    a = explained(maps[0], inputs)
    with pytest.raises(OpsinError, match="of other images"):
        opsin.agreement(a, explained(maps[1], inputs + 1))
    with pytest.raises(OpsinError, match="expected maps of the same images"):
        opsin.agreement(a, explained(maps[1][:3], inputs[:3]))
    with pytest.raises(OpsinError, match="top was given as 0"):
        opsin.agreement(a, a, top=0)
    tiny = explained(maps[0][:, :2, :2], inputs[:, :, :2, :2])
    with pytest.raises(OpsinError, match="too small for a structural similarity"):
        opsin.agreement(tiny, tiny)
