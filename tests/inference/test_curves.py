"""Curves of each class, and what thinning leaves of them."""

import numpy as np
import pytest
from sklearn.metrics import auc

from opsin.inference.curves import class_curves, thinned


def some_answers(count=3000, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + 1.5 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), labels


def test_a_thinned_curve_has_the_area_of_the_whole_one():
    probabilities, labels = some_answers()
    areas, roc, pr = class_curves(probabilities, labels)
    assert set(areas) == set(roc) == set(pr) == {0, 1, 2, 3}
    for index, curve in roc.items():
        assert 50 < len(curve) <= 200
        assert auc(curve[:, 0], curve[:, 1]) == pytest.approx(areas[index], abs=0.001)


def test_every_point_is_what_its_threshold_gives():
    probabilities, labels = some_answers(400)
    _, roc, pr = class_curves(probabilities, labels)
    truth, scores = labels == 2, probabilities[:, 2].astype(np.float64)
    for fpr, tpr, threshold in roc[2]:
        called = scores >= threshold
        assert (called[~truth].mean(), called[truth].mean()) == pytest.approx((fpr, tpr))
    for recall, precision, threshold in pr[2]:
        called = scores >= threshold
        assert called[truth].mean() == pytest.approx(recall)
        assert precision == pytest.approx(truth[called].mean() if called.any() else 1.0)


def test_curves_run_from_end_to_end_and_hold_no_infinity():
    probabilities, labels = some_answers(5000)
    _, roc, pr = class_curves(probabilities, labels)
    for curve in [*roc.values(), *pr.values()]:
        assert np.isfinite(curve).all()
        assert (curve[0, 0], curve[-1, 0]) == (0, 1)
        assert (np.diff(curve[:, 0]) >= 0).all()
        assert (np.diff(curve[:, 2]) <= 0).all()


def test_a_class_without_images_or_of_all_images_has_no_curve():
    probabilities, _ = some_answers(50)
    assert class_curves(probabilities, np.full(50, 1)) == ({}, {}, {})
    areas, _, _ = class_curves(probabilities, np.arange(50) % 2)
    assert set(areas) == {0, 1}


def test_many_classes_get_fewer_points_each():
    probabilities, labels = some_answers(2000, classes=400)
    _, roc, _ = class_curves(probabilities, labels)
    assert max(map(len, roc.values())) <= 50


def test_a_short_curve_stays_as_it_is():
    curve = np.array([[0.0, 0.0, 1.1], [0.0, 1.0, 0.5], [1.0, 1.0, 0.1]])
    assert thinned(curve, 3) is curve
