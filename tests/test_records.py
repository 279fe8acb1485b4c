"""Records: what they refuse, and that they survive the disk."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from opsin.errors import OpsinError
from opsin.files import read_json, to_json, write_tensors
from opsin.records import (
    Baseline,
    ClassScores,
    Explanation,
    Interval,
    Prediction,
    Scores,
    Snapshot,
    Threshold,
    Unreadable,
)


def some_scores() -> Scores:
    return Scores(
        images=3,
        classes=("a", "b"),
        accuracy=2 / 3,
        accuracy_interval=Interval(0.3, 1.0),
        top_k={1: 2 / 3, 2: 1.0},
        macro={"precision": 0.7, "recall": 0.6, "f1": 0.65},
        weighted={"precision": 0.7, "recall": 0.6, "f1": 0.65},
        per_class=(
            ClassScores("a", 2, 1.0, 0.5, 0.67, 0.9, Interval(0, 1)),
            ClassScores("b", 1, 0.5, 1.0, 0.67, None, Interval(0, 1)),
        ),
        confusion=np.array([[1, 1], [0, 1]]),
        ece=0.1,
        brier=0.2,
        nll=0.3,
        reliability=np.array([[0.5, 0.4, 3.0]]),
        temperature=1.2,
        ece_calibrated=0.05,
        auroc=0.8,
        roc={"a": np.array([[0.0, 0.0, np.inf], [1.0, 1.0, 0.0]])},
        pr={"a": np.array([[0.0, 1.0, 1.0]])},
        thresholds=(Threshold("a", "specificity 0.95", 0.4, 0.9, 0.95),),
        baselines=(Baseline("majority class", 0.5, Interval(0.2, 0.8)),),
        notes=("a note",),
    )


def test_scores_survive_the_disk(tmp_path):
    scores = some_scores()
    scores.save(tmp_path / "scores.json")
    loaded = Scores.load(tmp_path / "scores.json")
    for field in dataclasses.fields(Scores):
        if field.name not in ("confusion", "reliability", "roc", "pr"):
            assert getattr(loaded, field.name) == getattr(scores, field.name), field.name
    np.testing.assert_array_equal(loaded.confusion, scores.confusion)
    np.testing.assert_array_equal(loaded.reliability, scores.reliability)


def test_the_overall_accuracy_stands_before_any_baselines():
    text = to_json(some_scores().as_dict())
    assert text.index('"accuracy"') < text.index('"baselines"')
    assert json.loads(text)["accuracy_interval"] == {"low": 0.3, "high": 1.0}


def test_a_file_that_is_no_scores_file_is_named(tmp_path):
    (tmp_path / "scores.json").write_text('{"images": 3}')
    with pytest.raises(OpsinError, match="not a scores file"):
        Scores.load(tmp_path / "scores.json")


def test_prediction_refuses_a_wrong_shape():
    with pytest.raises(OpsinError, match=r"expected \(1, 2\)"):
        Prediction(np.zeros((2, 2), np.float32), ("a", "b"), ("one",))


def test_prediction_as_a_table_quotes_names_and_lists_unreadable_files(tmp_path):
    answer = Prediction(
        np.array([[0.25, 0.75]], np.float32),
        ("a", 'b, "c"'),
        ("x,y.png",),
        (Unreadable("z.png", "it is empty"),),
    )
    answer.save(tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows[0]["image"] == "x,y.png"
    assert rows[0]["label"] == 'b, "c"'
    assert float(rows[0]['p:b, "c"']) == pytest.approx(0.75)
    assert rows[1]["error"] == "it is empty"
    assert rows[1]["label"] == ""


def test_snapshot_survives_the_disk_within_its_quantisation(tmp_path):
    rng = np.random.default_rng(0)
    activations = rng.normal(size=(2, 3, 4, 4)).astype(np.float32)
    gradients = (rng.normal(size=(2, 3, 4, 4)) * 1e-9).astype(np.float32)
    snapshot = Snapshot(
        step=7,
        probabilities=np.array([[0.2, 0.8], [0.5, 0.5]], np.float32),
        activations={"block.conv": activations},
        channels={"block.conv": np.array([0, 4, 9])},
        gradients_label={"block.conv": gradients},
        gradients_predicted={"block.conv": np.zeros_like(gradients)},
        filters={"block.conv": rng.normal(size=(10, 1, 3, 3)).astype(np.float32)},
        filter_channels={"block.conv": np.arange(10)},
        alive={"block.conv": np.array([True, False])},
        saturated={},
    )
    snapshot.save(tmp_path / "00000007.safetensors")
    loaded = Snapshot.load(tmp_path / "00000007.safetensors")
    assert loaded.step == 7
    step = (activations.max() - activations.min()) / 255
    assert np.abs(loaded.activations["block.conv"] - activations).max() <= step / 2 * 1.001
    # Tiny gradients are scaled before they become float16, so they do not vanish.
    np.testing.assert_allclose(loaded.gradients_label["block.conv"], gradients, atol=np.abs(gradients).max() * 1e-3)
    np.testing.assert_array_equal(loaded.gradients_predicted["block.conv"], 0)
    np.testing.assert_array_equal(loaded.channels["block.conv"], [0, 4, 9])
    np.testing.assert_array_equal(loaded.alive["block.conv"], [True, False])
    assert loaded.saturated == {}


def test_a_snapshot_of_a_diverging_network_is_written_and_says_so(tmp_path):
    values = np.array([[[[1.0, np.nan], [np.inf, 3.0]]]], np.float32)
    whole = {"conv": values}
    snapshot = Snapshot(
        step=7, probabilities=np.zeros((1, 2), np.float32), activations=whole, channels={"conv": np.array([0])},
        gradients_label={}, gradients_predicted=whole, filters={}, filter_channels={}, alive={}, saturated={},
    )  # fmt: skip
    snapshot.save(tmp_path / "a.safetensors")
    loaded = Snapshot.load(tmp_path / "a.safetensors")
    np.testing.assert_allclose(loaded.activations["conv"], [[[[1, 0], [0, 3]]]], atol=0.02)
    np.testing.assert_allclose(loaded.gradients_predicted["conv"], [[[[1, 0], [0, 3]]]], atol=0.02)
    assert read_json(tmp_path / "a.json")["activations"]["conv"]["not_finite"] == 2


def test_an_explanation_of_another_version_is_one_line(tmp_path):
    maps = np.zeros((1, 4, 4), np.float32)
    write_tensors(tmp_path / "a.safetensors", {"maps": maps}, {"Explanation": '{"heat": 1}'})
    with pytest.raises(OpsinError, match="is no Explanation of this version"):
        Explanation.load(tmp_path / "a.safetensors")
    write_tensors(tmp_path / "b.safetensors", {"maps": maps})
    with pytest.raises(OpsinError, match="holds no Explanation"):
        Explanation.load(tmp_path / "b.safetensors")


def test_an_explanation_comes_back_from_the_disk(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    written = Explanation(
        maps=inputs[:, 0], inputs=inputs, method="occlusion", options={"window": 2, "engine": "auto"}, layer="",
        targets=np.array([0, 1]), classes=("a", "b"), names=("x.png", "y.png"), seed=3, evaluations=9,
        display=((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), notes=("blank",), used={"engine": "fused"},
    )  # fmt: skip
    written.save(tmp_path / "a.safetensors")
    found = Explanation.load(tmp_path / "a.safetensors")
    for item in dataclasses.fields(Explanation):
        expected, got = getattr(written, item.name), getattr(found, item.name)
        if isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(got, expected)
            assert got.dtype == expected.dtype
        else:
            assert got == expected
