"""Baselines on real digits and on odd pictures."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from opsin.inference import baselines
from opsin.inference.baselines import score_baselines


@pytest.fixture(scope="module")
def real_digits():
    """1,797 real digits of 8 x 8 pixels, from scikit-learn."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.round(data.images * 255 / 16).astype(np.uint8)[..., None], data.target


def scored(pixels, labels, **settings):
    half = len(labels) // 2
    rows = np.arange(len(labels))
    found = score_baselines(pixels, rows[:half], labels[:half], rows[half:], labels[half:], **settings)
    return {baseline.name: baseline for baseline in found}


def test_real_digits(real_digits):
    found = scored(*real_digits)
    assert list(found) == ["majority class", "nearest class mean", "HOG + logistic regression"]
    assert found["majority class"].accuracy < 0.15
    assert found["nearest class mean"].accuracy > 0.8
    assert found["HOG + logistic regression"].accuracy > 0.85
    for baseline in found.values():
        assert baseline.interval.low < baseline.accuracy < baseline.interval.high
        assert baseline.note == ""


def test_the_nearest_class_mean_is_that(real_digits):
    pixels, labels = real_digits
    flat, half = pixels.reshape(len(pixels), -1).astype(float), len(labels) // 2
    means = np.stack([flat[:half][labels[:half] == digit].mean(axis=0) for digit in range(10)])
    reference = (cdist(flat[half:], means).argmin(axis=1) == labels[half:]).mean()
    assert scored(pixels, labels)["nearest class mean"].accuracy == reference


def test_with_shuffled_labels_they_are_at_chance(real_digits):
    """The planted fault: a baseline that had seen the scored images would do better."""
    pixels, labels = real_digits
    found = scored(pixels, np.random.default_rng(0).permutation(labels))
    assert max(baseline.accuracy for baseline in found.values()) < 0.2


def test_the_majority_is_that_of_the_training_images():
    pixels = np.zeros((30, 8, 8, 1), np.uint8)
    labels = np.array([2] * 10 + [0] * 5 + [0] * 12 + [2] * 3)
    assert scored(pixels, labels)["majority class"].accuracy == 3 / 15


def test_only_so_many_training_images_are_drawn_and_it_is_said(real_digits, monkeypatch):
    monkeypatch.setattr(baselines, "HOG_IMAGES", 200)
    first, again, other = (scored(*real_digits, seed=seed)["HOG + logistic regression"] for seed in (1, 1, 2))
    assert first.note == "fitted on 200 of 898 training images"
    assert first == again
    assert first.accuracy != other.accuracy


def test_a_fit_that_was_cut_short_says_so(real_digits, monkeypatch):
    monkeypatch.setattr(baselines, "HOG_STEPS", 2)
    assert scored(*real_digits)["HOG + logistic regression"].note == "not converged in 2 steps"


@pytest.mark.parametrize(
    "shape",
    [(8, 8, 1), (9, 31, 2), (33, 12, 3), (20, 20, 4), (150, 90, 3)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_every_shape_of_picture(shape):
    """Two classes that differ in the direction of their stripes; alpha, where there is one, says nothing."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pixels = np.stack([(np.where(label, rows, columns) // 2 % 2 * 200) for label in labels])[..., None]
    pixels = np.broadcast_to(pixels, (80, *shape)).astype(np.uint8) + rng.integers(0, 50, (80, *shape), dtype=np.uint8)
    found = scored(pixels, labels)
    if max(shape) <= 64:
        assert found["HOG + logistic regression"].accuracy == 1
    assert found["nearest class mean"].accuracy == 1 or max(shape) > 64


def test_pictures_too_small_for_hog_and_a_single_class_have_two_baselines():
    rng = np.random.default_rng(0)
    tiny = rng.integers(0, 256, (20, 7, 30, 3), dtype=np.uint8)
    assert list(scored(tiny, np.arange(20) % 2)) == ["majority class", "nearest class mean"]
    plain = rng.integers(0, 256, (20, 16, 16, 1), dtype=np.uint8)
    found = scored(plain, np.full(20, 3))
    assert list(found) == ["majority class", "nearest class mean"]
    assert found["nearest class mean"].accuracy == 1


def test_long_thin_pictures_are_not_made_thinner_than_a_pixel():
    thin = np.random.default_rng(0).integers(0, 256, (12, 3000, 1, 1), dtype=np.uint8)
    assert set(scored(thin, np.arange(12) % 2)) == {"majority class", "nearest class mean"}


def test_a_memory_map_is_read_in_batches(real_digits, tmp_path, monkeypatch):
    pixels, labels = real_digits
    path = tmp_path / "pixels.npy"
    np.save(path, pixels)
    largest = 0

    class Watched:
        def __init__(self, array):
            self.array, self.shape = array, array.shape

        def __getitem__(self, rows):
            nonlocal largest
            largest = max(largest, len(rows))
            return self.array[rows]

    half = len(labels) // 2
    rows = np.arange(len(labels))
    mapped = Watched(np.load(path, mmap_mode="r"))
    score_baselines(mapped, rows[:half], labels[:half], rows[half:], labels[half:])
    assert 0 < largest <= 64
