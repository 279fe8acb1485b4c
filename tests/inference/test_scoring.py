"""Figures of answers against slow twins written from their formulas, and the laws that they obey."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.inference.scoring import (
    averages,
    brier,
    calibration_error,
    class_ratios,
    confusion,
    epoch_scores,
    negative_log_likelihood,
    reliability,
    top_k,
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities `(n, classes)` and labels, some classes without images, some answers equal or extreme."""
    classes, count = draw(st.integers(2, 7)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = rng.normal(size=(count, classes)) * draw(st.sampled_from([0.0, 0.3, 3.0, 200.0]))
    if draw(st.booleans()):
        logits = logits.round()
    labels = rng.integers(0, draw(st.integers(1, classes)), count)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), labels


def slow_ece(probabilities, labels, bins=15):
    """Guo et al. 2017, equations 2 and 3: bins (i/M, (i+1)/M], image by image."""
    total = 0.0
    for i in range(bins):
        inside = []
        for row, label in zip(probabilities, labels, strict=True):
            best = max(range(len(row)), key=lambda c: row[c])
            if i / bins < row[best] <= (i + 1) / bins:
                inside.append((row[best], best == label))
        if inside:
            confidence = math.fsum(pair[0] for pair in inside) / len(inside)
            accuracy = sum(pair[1] for pair in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


def slow_brier(probabilities, labels):
    """Brier 1950: squared differences to the truth as 0 and 1, summed over classes, averaged over images."""
    return math.fsum(
        (row[c] - (1.0 if c == label else 0.0)) ** 2
        for row, label in zip(probabilities, labels, strict=True)
        for c in range(len(row))
    ) / len(labels)


@settings(deadline=None)
@given(answers())
def test_calibration_figures_are_those_of_the_formulas(case):
    log_probabilities, labels = case
    probabilities = np.exp(log_probabilities)
    table = reliability(probabilities, labels)
    confidence = probabilities.max(axis=1)
    if (np.abs(confidence * 15 - np.round(confidence * 15)) > 1e-9).all():  # an edge may round to either side
        assert calibration_error(table) == pytest.approx(slow_ece(probabilities, labels), abs=1e-9)
    assert brier(probabilities, labels) == pytest.approx(slow_brier(probabilities, labels), abs=1e-9)
    slow = -sum(log_probabilities[i, label] for i, label in enumerate(labels)) / len(labels)
    assert negative_log_likelihood(log_probabilities, labels) == pytest.approx(slow)


@settings(deadline=None)
@given(answers())
def test_figures_stay_in_their_ranges_and_agree_with_each_other(case):
    log_probabilities, labels = case
    classes = log_probabilities.shape[1]
    matrix = confusion(labels, log_probabilities.argmax(axis=1), classes)
    ratios = class_ratios(matrix)
    accuracy = np.trace(matrix) / len(labels)
    macro, weighted = averages(ratios)
    table = reliability(np.exp(log_probabilities), labels)
    assert matrix.sum() == len(labels)
    for values in (ratios.precision, ratios.recall, ratios.f1, list(macro.values()), list(weighted.values())):
        assert np.all((np.asarray(values) >= 0) & (np.asarray(values) <= 1 + 1e-12))
    assert weighted["recall"] == pytest.approx(accuracy)
    assert top_k(log_probabilities, labels)[1] == pytest.approx(accuracy)
    shares = list(top_k(log_probabilities, labels).values())
    assert shares == sorted(shares)
    assert table[:, 2].sum() == len(labels)
    assert 0 <= calibration_error(table) <= 1
    assert 0 <= brier(np.exp(log_probabilities), labels) <= 2 + 1e-12
    assert table[:, 1] @ table[:, 2] / len(labels) == pytest.approx(accuracy)


@settings(deadline=None)
@given(answers(), st.randoms(use_true_random=False))
def test_the_order_of_images_and_of_classes_does_not_matter(case, random):
    log_probabilities, labels = case
    count, classes = log_probabilities.shape
    images, columns = random.sample(range(count), count), random.sample(range(classes), classes)
    moved, renamed = log_probabilities[images][:, columns], np.argsort(columns)[labels[images]]
    assert brier(np.exp(moved), renamed) == pytest.approx(brier(np.exp(log_probabilities), labels))
    assert negative_log_likelihood(moved, renamed) == pytest.approx(negative_log_likelihood(log_probabilities, labels))
    # with equal scores the answer itself depends on the order of the classes
    if all(len(set(row)) == classes for row in log_probabilities.tolist()):
        ratios = [
            averages(class_ratios(confusion(y, p.argmax(axis=1), classes)))
            for p, y in ((log_probabilities, labels), (moved, renamed))
        ]
        assert ratios[0][0] == pytest.approx(ratios[1][0])
        assert ratios[0][1] == pytest.approx(ratios[1][1])


def test_a_ratio_without_denominator_is_zero():
    ratios = class_ratios(np.array([[2, 0, 0], [1, 0, 0], [0, 0, 0]]))
    np.testing.assert_array_equal(ratios.precision, [2 / 3, 0, 0])
    np.testing.assert_array_equal(ratios.recall, [1, 0, 0])
    np.testing.assert_array_equal(ratios.f1, [0.8, 0, 0])
    # the third class does not occur: it is no part of the average
    assert averages(ratios)[0] == pytest.approx({"precision": 1 / 3, "recall": 0.5, "f1": 0.4})


def test_equal_scores_count_for_the_first_class_only():
    scores = np.zeros((4, 4))
    assert top_k(scores, np.array([0, 1, 2, 3])) == {1: 0.25, 3: 0.75}


def test_confidence_on_an_edge_belongs_to_the_bin_below():
    table = reliability(np.array([[0.4, 0.6], [0.0, 1.0]]), np.array([1, 1]), bins=5)
    assert np.flatnonzero(table[:, 2]).tolist() == [2, 4]


def test_shuffled_labels_score_like_chance():
    """The planted fault: a figure that did not look at the labels would stay where it was."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 5000)
    logits = rng.normal(size=(5000, 10)) + 6 * np.eye(10)[labels]
    true, chance = (epoch_scores(logits, y, 10) for y in (labels, rng.permutation(labels)))
    assert true["accuracy"] > 0.99
    assert chance["accuracy"] == pytest.approx(0.1, abs=0.02)
    assert true["ece"] < 0.1
    assert chance["ece"] > 0.7
    assert true["loss"] < 0.2
    assert chance["loss"] > 2


def test_the_line_of_an_epoch_is_plain_json():
    logits = np.array([[2, 0, 0], [0, 2, 0], [2, 0, 0]], np.float32)
    line = epoch_scores(logits, np.array([0, 1, 1]), 3)
    assert json.loads(json.dumps(line, allow_nan=False)) == line
    assert set(line) == {"loss", "accuracy", "recall", "confusion", "ece", "reliability"}
    assert line["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert line["recall"] == [1.0, 0.5, 0.0]
    assert np.shape(line["reliability"]) == (15, 3)


def test_a_diverged_network_gets_figures_too():
    line = epoch_scores(np.full((4, 3), np.nan, np.float32), np.array([0, 1, 2, 0]), 3)
    assert math.isnan(line["loss"])
    assert np.sum(line["confusion"]) == 4
