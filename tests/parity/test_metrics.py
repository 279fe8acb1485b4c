"""Opsin's figures are those of scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn import metrics
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassCalibrationError

from opsin.inference import scoring
from opsin.inference.curves import class_curves


@pytest.fixture(params=[(2, 300), (10, 1000), (40, 1000)], ids=lambda shape: f"{shape[0]} classes")
def answers(request):
    classes, count = request.param
    rng = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    logits = rng.normal(size=(count, classes)) * 2 + 2 * np.eye(classes)[labels]
    return log_softmax(logits, axis=1), labels


def test_ratios_are_scikit_learns(answers):
    log_probabilities, labels = answers
    classes, given = log_probabilities.shape[1], log_probabilities.argmax(axis=1)
    matrix = scoring.confusion(labels, given, classes)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(labels, given, labels=range(classes)))
    ratios = scoring.class_ratios(matrix)
    reference = metrics.precision_recall_fscore_support(labels, given, labels=range(classes), zero_division=0)
    for ours, theirs in zip(ratios, reference, strict=True):
        np.testing.assert_allclose(ours, theirs)
    for ours, how in zip(scoring.averages(ratios), ("macro", "weighted"), strict=True):
        theirs = metrics.precision_recall_fscore_support(labels, given, average=how, zero_division=0)
        assert list(ours.values()) == pytest.approx(theirs[:3])


def test_averages_leave_absent_classes_out_as_scikit_learn_does_with_the_labels_that_occur(answers):
    log_probabilities, labels = answers
    labels = labels // 2  # the upper half of the classes never occurs, though it is answered
    classes, given = log_probabilities.shape[1], log_probabilities.argmax(axis=1)
    macro, _ = scoring.averages(scoring.class_ratios(scoring.confusion(labels, given, classes)))
    reference = metrics.precision_recall_fscore_support(
        labels, given, labels=np.unique(labels), average="macro", zero_division=0
    )
    assert list(macro.values()) == pytest.approx(reference[:3])


def test_top_k_is_scikit_learns(answers):
    log_probabilities, labels = answers
    for k, share in scoring.top_k(log_probabilities, labels).items():
        if log_probabilities.shape[1] > 2:  # scikit-learn wants one column for two classes
            assert share == pytest.approx(metrics.top_k_accuracy_score(labels, log_probabilities, k=k))
        torchs = MulticlassAccuracy(num_classes=log_probabilities.shape[1], average="micro", top_k=k)
        assert share == pytest.approx(float(torchs(torch.tensor(log_probabilities), torch.tensor(labels))))


def test_areas_and_curves_are_scikit_learns(answers):
    log_probabilities, labels = answers
    probabilities = np.exp(log_probabilities)
    areas, _, _ = class_curves(probabilities, labels)
    for index, area in areas.items():
        assert area == pytest.approx(metrics.roc_auc_score(labels == index, probabilities[:, index]))
    if len(areas) > 2:
        assert np.mean(list(areas.values())) == pytest.approx(
            metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
        )
    torchs = MulticlassAUROC(num_classes=probabilities.shape[1])
    ours = np.mean(list(areas.values()))
    assert ours == pytest.approx(float(torchs(torch.tensor(probabilities), torch.tensor(labels))), abs=1e-5)


def test_calibration_is_theirs(answers):
    log_probabilities, labels = answers
    probabilities = np.exp(log_probabilities)
    torchs = MulticlassCalibrationError(num_classes=probabilities.shape[1], n_bins=15, norm="l1")
    ours = scoring.calibration_error(scoring.reliability(probabilities, labels))
    assert ours == pytest.approx(float(torchs(torch.tensor(probabilities), torch.tensor(labels))), abs=1e-5)
    assert scoring.negative_log_likelihood(log_probabilities, labels) == pytest.approx(
        metrics.log_loss(labels, probabilities)
    )
    reference = metrics.brier_score_loss(labels, probabilities, scale_by_half=False)
    assert scoring.brier(probabilities, labels) == pytest.approx(reference)


def test_the_loss_is_pytorchs(answers):
    log_probabilities, labels = answers
    line = scoring.epoch_scores(log_probabilities * 3, labels, log_probabilities.shape[1])
    reference = torch.nn.functional.cross_entropy(torch.tensor(log_probabilities * 3), torch.tensor(labels))
    assert line["loss"] == pytest.approx(float(reference))
