"""Temperature scaling finds a planted temperature; thresholds keep what they promise."""

import numpy as np
import pytest
from scipy.special import log_softmax

from opsin.inference.calibration import Answers, fit_temperature, operating_points, tempered
from opsin.inference.scoring import calibration_error, reliability

CLASSES = ("ill", "well", "unclear")


def drawn(count, temperature, classes=3, seed=0):
    """Answers whose true probabilities are those of the logits divided by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes)) * 3
    truth = np.exp(log_softmax(logits / temperature, axis=1))
    labels = (truth.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(0, classes - 1)
    return Answers(log_softmax(logits, axis=1).astype(np.float32), labels)


def error(answers, temperature=1.0):
    return calibration_error(reliability(np.exp(tempered(answers.log_probabilities, temperature)), answers.labels))


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_found_and_calibrates_other_images(planted):
    found = fit_temperature(drawn(4000, planted))
    assert found == pytest.approx(planted, rel=0.1)
    others = drawn(4000, planted, seed=1)
    assert error(others, found) < 0.025
    if planted != 1:
        assert error(others) > 0.05


def test_a_constant_per_image_does_not_matter():
    answers = drawn(1000, 2.0)
    moved = answers.log_probabilities + np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32) * 10
    assert fit_temperature(Answers(moved, answers.labels)) == pytest.approx(fit_temperature(answers), rel=1e-3)


def test_nothing_is_claimed_when_every_validation_image_is_right():
    answers = drawn(200, 1.0)
    assert fit_temperature(Answers(answers.log_probabilities, answers.log_probabilities.argmax(axis=1))) is None


def test_the_answer_stays_the_same_at_every_temperature():
    answers = drawn(500, 1.0).log_probabilities
    np.testing.assert_array_equal(tempered(answers, 3.0).argmax(axis=1), answers.argmax(axis=1))
    np.testing.assert_allclose(np.exp(tempered(answers, 3.0)).sum(axis=1), 1, rtol=1e-5)


def test_thresholds_keep_their_promise_on_validation_and_are_the_best_that_do():
    answers = drawn(600, 0.7)
    points = list(operating_points(answers, answers, CLASSES))
    assert [(point.class_name, point.rule) for point in points] == [
        (name, f"{rule} >= 0.95") for name in CLASSES for rule in ("specificity", "sensitivity")
    ]
    for point in points:
        index = CLASSES.index(point.class_name)
        truth, scores = answers.labels == index, np.exp(answers.log_probabilities[:, index])
        # measured on the images that it was chosen on, the rule must hold
        assert getattr(point, point.rule.split()[0]) >= 0.95
        called = scores >= point.threshold
        assert called[truth].mean() == pytest.approx(point.sensitivity)
        assert 1 - called[~truth].mean() == pytest.approx(point.specificity)
        for threshold in scores:  # the slow way: no other threshold that keeps the rule does better
            sensitivity, specificity = (scores >= threshold)[truth].mean(), (scores < threshold)[~truth].mean()
            if point.rule.startswith("specificity") and specificity >= 0.95:
                assert sensitivity <= point.sensitivity + 1e-12
            if point.rule.startswith("sensitivity") and sensitivity >= 0.95:
                assert specificity <= point.specificity + 1e-12


def test_thresholds_are_measured_on_other_images_than_they_were_chosen_on():
    chosen_on, measured_on = drawn(800, 1.0), drawn(800, 1.0, seed=9)
    points = list(operating_points(chosen_on, measured_on, CLASSES))
    same = list(operating_points(chosen_on, chosen_on, CLASSES))
    assert [point.threshold for point in points] == [point.threshold for point in same]
    assert [point.sensitivity for point in points] != [point.sensitivity for point in same]


def test_of_two_classes_both_have_thresholds():
    answers = drawn(300, 1.0, classes=2)
    assert [point.class_name for point in operating_points(answers, answers, ("ill", "well"))] == ["ill"] * 2 + [
        "well"
    ] * 2


def test_a_class_that_is_missing_on_either_side_has_none():
    validation, scored = drawn(300, 1.0), drawn(300, 1.0, seed=1)
    lacking = Answers(scored.log_probabilities, np.where(scored.labels == 2, 0, scored.labels))
    for first, second in ((validation, lacking), (lacking, validation)):
        assert {point.class_name for point in operating_points(first, second, CLASSES)} == {"ill", "well"}


def test_a_rule_that_no_threshold_meets_has_no_row():
    """A tenth of the others get the highest probability too: no threshold gives a specificity of 0.95."""
    probabilities = np.array([[0.9, 0.1]] * 5 + [[0.9, 0.1]] + [[0.2, 0.8]] * 9, np.float32)
    answers = Answers(np.log(probabilities), np.array([0] * 5 + [1] * 10))
    rules = [point.rule for point in operating_points(answers, answers, ("ill", "well")) if point.class_name == "ill"]
    assert rules == ["sensitivity >= 0.95"]
