"""Figures of classes: those of the run's scores where there are scores, and the single answers behind them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

import opsin
from opsin.errors import OpsinError
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack


@pytest.fixture(scope="module")
def subject(digits_run) -> Subject:
    return Subject.of(digits_run)


def test_test_figures_are_those_of_the_scores(subject, digits_run):
    told, scores = answer(subject, "classes", {}), digits_run.scores
    assert told["images"] == scores.images
    assert told["accuracy"] == scores.accuracy
    assert told["interval"] == list(scores.accuracy_interval)
    np.testing.assert_array_equal(told["confusion"], scores.confusion)
    np.testing.assert_allclose(told["recall"], [row.recall for row in scores.per_class])
    np.testing.assert_allclose(told["low"], [row.recall_interval.low for row in scores.per_class])
    np.testing.assert_allclose(told["auroc"], [row.auroc for row in scores.per_class], rtol=1e-6)
    for name in ("ece", "brier", "nll", "temperature", "ece_calibrated"):
        assert told[name] == pytest.approx(getattr(scores, name), rel=1e-4), name
    np.testing.assert_allclose(told["reliability"], scores.reliability, atol=1e-6)
    assert told["splits"] == {"validation": 500, "test": 1000}
    pack(told)


def test_pairs_are_the_mistakes_in_order(subject):
    told = answer(subject, "classes", {"split": "validation"})
    pairs = told["pairs"]
    wrong = told["confusion"] - np.diag(np.diag(told["confusion"]))
    assert pairs["count"].sum() == wrong.sum()
    assert (np.diff(pairs["count"]) <= 0).all()
    for truth, given, count in zip(pairs["truth"], pairs["answer"], pairs["count"], strict=True):
        assert wrong[truth, given] == count


def test_an_epoch_of_the_past(subject, digits_run):
    told = answer(subject, "classes", {"split": "validation", "epoch": 1})
    line = digits_run.epochs[0]
    assert told["epoch"] == 1
    assert told["step"] == line["step"]
    assert told["accuracy"] == pytest.approx(line["accuracy"])
    np.testing.assert_array_equal(told["confusion"], line["confusion"])
    assert told["interval"][0] < line["accuracy"] < told["interval"][1]
    assert np.isnan(told["auroc"]).all()
    assert answer(subject, "classes", {"split": "validation", "epoch": 99})["epoch"] == 3


def test_a_training_that_goes_on_shows_its_last_epoch(make_run):
    subject = Subject.of(make_run(status="running"))
    assert answer(subject, "classes", {"split": "validation"})["epoch"] == 3
    with pytest.raises(OpsinError, match="this one is running"):
        answer(subject, "classes", {})


def test_curves_equal_scikit_learn(subject, digits_run):
    told = answer(subject, "curves", {"index": 8})
    kept = digits_run.predictions()["test"]
    truth, scores = kept.label == 8, kept.probabilities[:, 8].astype(np.float64)
    assert told["auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    assert told["prevalence"] == truth.mean()
    area = np.trapezoid(told["roc"][:, 1], told["roc"][:, 0])
    assert area == pytest.approx(told["auroc"], abs=0.003)
    recall, precision = told["pr"][:, 0], told["pr"][:, 1]
    area = ((recall[1:] - recall[:-1]) * precision[1:]).sum()
    assert area == pytest.approx(average_precision_score(truth, scores), abs=0.02)
    whole = set(zip(*(np.round(x, 6) for x in precision_recall_curve(truth, scores)[:2]), strict=True))
    assert set(zip(np.round(precision, 6), np.round(recall, 6), strict=True)) <= whole


def test_thresholds_are_those_of_the_scores(subject, digits_run):
    for index, name in enumerate(digits_run.classes):
        told = answer(subject, "curves", {"index": index})["thresholds"]
        wanted = [point for point in digits_run.scores.thresholds if point.class_name == name]
        assert [point["rule"] for point in told] == [point.rule for point in wanted]
        for one, other in zip(told, wanted, strict=True):
            assert one["threshold"] == pytest.approx(other.threshold, rel=1e-4)
            assert one["sensitivity"] == pytest.approx(other.sensitivity)
            assert one["specificity"] == pytest.approx(other.specificity)


def test_a_cell_opens_its_images(subject, digits_run):
    matrix = answer(subject, "classes", {})["confusion"]
    wrong = matrix - np.diag(np.diag(matrix))
    true, predicted = (int(at) for at in np.unravel_index(wrong.argmax(), wrong.shape))
    told = answer(subject, "gallery", {"true": true, "predicted": predicted})
    assert told["total"] == matrix[true, predicted] == len(told["ids"])
    assert (told["labels"] == true).all()
    assert (told["answers"] == predicted).all()
    assert (np.diff(told["confidence"]) <= 0).all()
    assert (told["truth"] < told["confidence"]).all()
    for id in told["ids"]:
        assert subject.images[id].label == true
    probabilities = opsin.predict(subject.model, [seen.pixels for seen in subject.seen(told["ids"])]).probabilities
    assert (probabilities.argmax(axis=1) == predicted).all()
    np.testing.assert_allclose(probabilities.max(axis=1), told["confidence"], atol=1e-4)


def test_right_answers_come_last_and_the_least_sure_of_them_first(subject):
    told = answer(subject, "gallery", {"true": 3, "count": 200})
    right = told["labels"] == told["answers"]
    assert (np.diff(right.astype(int)) >= 0).all()
    assert (np.diff(told["confidence"][right]) >= 0).all()
    halves = [answer(subject, "gallery", {"true": 3, "start": start, "count": 50})["ids"] for start in (0, 50)]
    assert [*halves[0], *halves[1]] == told["ids"][:100]


def test_test_images_that_are_copies_of_training_images_do_not_count(make_run):
    run = make_run(right=0.5)
    table = pq.read_table(run.path / "splits.parquet")
    hashes = table["hash"].to_pylist()
    hashes[0] = "hash60"  # the first training image is the first test image
    table = table.set_column(table.schema.get_field_index("hash"), "hash", pa.array(hashes))
    pq.write_table(table, run.path / "splits.parquet")
    subject = Subject.of(run)
    assert answer(subject, "classes", {})["excluded"] == 1
    assert answer(subject, "classes", {})["images"] == 29
    assert "test/0" not in answer(subject, "gallery", {"count": 100})["ids"]
    assert "test/1" in answer(subject, "gallery", {"count": 100})["ids"]


def test_very_many_classes_have_pairs_and_no_matrix(make_run, monkeypatch):
    monkeypatch.setattr("opsin.reporting.views.classes.MOST_CLASSES", 2)
    told = answer(Subject.of(make_run(right=0.5)), "classes", {})
    assert told["confusion"] is None
    assert told["pairs"]["count"].sum() == 15


@pytest.mark.parametrize(
    ("question", "args", "match"),
    [
        ("classes", {"split": "train"}, "'validation' or 'test'"),
        ("classes", {"epoch": 2}, "only validation images"),
        ("curves", {"index": 10}, "expected 0 to 9"),
        ("curves", {"index": -1}, "expected 0 to 9"),
        ("gallery", {"count": 5000}, "at most 200"),
        ("gallery", {"start": -1}, "from 0 on"),
    ],
)
def test_what_cannot_be_asked_is_refused(subject, question, args, match):
    with pytest.raises(OpsinError, match=match):
        answer(subject, question, args)
