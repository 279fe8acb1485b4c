"""The summary: which sentence is said in which situation, and that good runs are not accused."""

import dataclasses

import numpy as np
import pytest
from tests.reporting.conftest import IMAGES, epoch_line

from opsin.records import Baseline, Interval
from opsin.reporting.parts.material import Material
from opsin.reporting.parts.summary import summary
from opsin.reporting.texts import packaged


def keys(sentences) -> set[str]:
    return {sentence.text.key for sentence in sentences}


def english(sentences) -> str:
    return " ".join(packaged().lower(sentence.text, "en") for sentence in sentences)


def good(**changes):
    """Settings of a run that no rule accuses: groups are known and the answers are calibrated."""
    labels = np.arange(IMAGES) % 3
    return {"group": [f"g{i}" for i in range(IMAGES)], "right": 0.97, "confidence": 0.96,
            "data": {"counts": {"train": dict.fromkeys(("cat", "dog", "eel"), 100), "validation": {}, "test": {}}},
            "score_changes": {"images": 1000, "per_class": ()}, "labels": labels} | changes  # fmt: skip


def make_good(make_material, **changes):
    settings = good(**changes)
    settings.pop("labels")
    return make_material(**settings)


def test_a_good_run_is_not_accused(make_material):
    part = summary(make_good(make_material))
    assert keys(part.distrust) == {"distrust.nothing"}
    assert "able.above" in keys(part.able)
    assert not [s for s in (*part.trained, *part.able, *part.distrust) if s.tone == "bad"]
    assert "tiny learned for 3 epochs from 300 training images of animals" in english(part.trained)


def test_the_numbers_in_the_sentences_are_the_runs(make_material):
    part = summary(make_material(right=0.8, confidence=0.8))
    assert "It names 24 of 30 test images correctly: 80.0\u202f%" in english(part.able)
    assert "It made 6 mistakes." in english(part.fails)
    assert "(always the most frequent class" not in english(part.able)
    assert "a new <b>method</b>: 40.0\u202f%" in english(part.able)


@pytest.mark.parametrize(
    ("accuracy", "high", "verdict"), [(0.3, 0.5, "above"), (0.88, 0.93, "hardly_above"), (0.95, 0.99, "not_above")]
)
def test_the_best_baseline_is_named_with_a_fair_verdict(make_material, accuracy, high, verdict):
    baselines = (Baseline("majority class", 0.1, Interval(0, 0.2)),
                 Baseline("nearest class mean", accuracy, Interval(0, high)))  # fmt: skip
    part = summary(make_material(score_changes={"baselines": baselines}))
    assert f"able.{verdict}" in keys(part.able)
    assert "nearest class mean" in english(part.able)


def test_no_mistake_is_no_proof(make_material):
    part = summary(make_material(right=1.0))
    assert keys(part.fails) == {"fails.nowhere"}
    assert "up to 10.0\u202f%" in english(part.fails)  # 3 / 30


def test_a_class_that_is_never_recognised_is_named(make_material):
    material = make_material(right=1.0)
    scores = material.run.scores
    worst = dataclasses.replace(scores.per_class[1], recall=0.0, support=10)
    confusion = scores.confusion.copy()
    confusion[1] = [10, 0, 0]
    vars(material.run)["scores"] = dataclasses.replace(
        scores, per_class=(scores.per_class[0], worst, scores.per_class[2]), confusion=confusion
    )
    part = summary(material)
    assert "1 class is never recognised (dog)" in english(part.fails)
    assert "“dog” is taken for “cat” 10 times (100.0\u202f% of all “dog”)" in english(part.fails)


SITUATIONS = {
    "over_confident": ({"right": 0.6, "confidence": 0.99}, "distrust.over_confident"),
    "under_confident": ({"right": 1.0, "confidence": 0.7}, "distrust.under_confident"),
    "few_test": ({"score_changes": {"images": 30}}, "distrust.few_test"),
    "small_test": ({"score_changes": {}}, "distrust.small_test"),
    "no_groups": ({"group": None}, "distrust.no_groups"),
    "unreadable": ({"data": {"unreadable": [{"path": "x", "reason": "y"}]}}, "distrust.unreadable"),
    "few_train": ({"data": {}}, "distrust.few_train"),
    "duplicates": ({"data": {"duplicates": [
        {"kind": "near", "first": "a", "second": "b", "first_split": "train", "second_split": "test", "distance": 1.0},
    ]}}, "distrust.duplicates"),
    "imbalance": ({"data": {"counts": {"train": {"cat": 700, "dog": 100, "eel": 100}}}}, "distrust.imbalance"),
    "gap": ({"epochs": (epoch_line(1, train_accuracy=1.0, accuracy=0.8),)}, "distrust.gap"),
    "risen": ({"epochs": (epoch_line(1, loss=0.5), epoch_line(2, loss=0.9))}, "distrust.risen"),
    "still_rising": ({"epochs": tuple(epoch_line(i, accuracy=0.5 + i / 20, train_accuracy=0.5) for i in range(1, 5))},
                     "distrust.still_rising"),
    "alarm": ({"epochs": (epoch_line(1, alarms=[{"kind": "over-fitting", "classes": [], "message": "m"}]),)},
              "alarm.over_fitting"),
    "earlier alarm": ({"epochs": (epoch_line(1, alarms=[{"kind": "x", "message": "m"}]), epoch_line(2))},
                      "distrust.earlier_alarms"),
}  # fmt: skip


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_reason_for_distrust_is_said_when_it_is_there(make_material, name):
    changes, key = SITUATIONS[name]
    assert key not in keys(summary(make_good(make_material)).distrust)
    assert key in keys(summary(make_good(make_material, **changes)).distrust)


def test_a_duplicate_within_one_split_is_no_leak(make_material):
    pair = {
        "kind": "exact",
        "first": "a",
        "second": "b",
        "first_split": "train",
        "second_split": "train",
        "distance": 0,
    }
    material = make_good(make_material, data={**good()["data"], "duplicates": [pair]})
    assert "distrust.duplicates" not in keys(summary(material).distrust)


def test_without_test_images_validation_is_quoted_with_a_warning(make_material):
    part = summary(make_material(scores=False))
    assert keys(part.able) == {"scores.missing_no_test", "able.validation", "trust.nothing"}
    assert keys(part.fails) == {"fails.unknown"}
    assert part.headlines[0].name.key == "headline.validation"
    assert "On validation images the best epoch (3) reached 90.0\u202f%" in english(part.able)


@pytest.mark.parametrize("status", ["stopped", "failed", "running"])
def test_an_unfinished_run_says_so(make_material, status):
    part = summary(make_material(scores=False, status=status, info={"error": "it broke"}))
    assert f"trained.{status}" in keys(part.trained)
    assert keys(part.able) >= {"scores.missing_unfinished"}
    assert ("it broke" in english(part.trained)) == (status == "failed")


def test_a_recorded_loop_claims_nothing(foreign_run):
    part = summary(Material(foreign_run))
    assert keys(part.trained) == {"trained.foreign"}
    assert "Sequential was recorded in a training loop of its own: 6 steps, 4 snapshots" in english(part.trained)
    assert keys(part.able) == {"scores.missing_foreign"}
    assert "distrust.foreign" in keys(part.distrust)
    assert [item.name.key for item in part.headlines] == ["headline.steps"]
