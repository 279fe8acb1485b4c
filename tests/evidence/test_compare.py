"""Two models on the same images: what differs, and whether that is chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from torch import nn

from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.errors import CheckFailed, OpsinError
from opsin.evidence.compare import compare, mcnemar
from opsin.files import write_json
from opsin.models.classifier import Classifier
from opsin.records import Comparison

CLASSES = ("cat", "dog", "hen")


class Table(nn.Module):
    """Answers each picture with what stands in a table under the value of its first pixel."""

    def __init__(self, answers):
        super().__init__()
        self.register_buffer("logits", 5 * nn.functional.one_hot(torch.as_tensor(answers), 3).float())

    def forward(self, x):
        return self.logits[(x[:, 0, 0, 0] * 255).round().long()]


def table(answers, classes=CLASSES) -> Classifier:
    return Classifier(Table(answers), classes, Preprocess.simple(1, 4, mean=0, std=1))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """200 pictures whose first pixel is their number."""
    pixels = np.random.default_rng(0).integers(0, 256, (200, 4, 4), dtype=np.uint8)
    pixels[:, 0, 0] = np.arange(200)
    return Dataset.from_arrays(pixels, np.arange(200) % 3, classes=CLASSES, name="pets")


def wrong(labels, rows, by=1):
    changed = labels.copy()
    changed[rows] = (changed[rows] + by) % 3
    return changed


def test_counts_are_those_of_the_tables(data):
    a = table(wrong(data.labels, np.arange(0, 40)))
    b = table(wrong(data.labels, np.arange(30, 50)))
    result = compare(a, b, data, names=("old", "new"))
    assert isinstance(result, Comparison)
    assert result.names == ("old", "new")
    assert (result.both_right, result.only_a, result.only_b, result.both_wrong) == (150, 10, 30, 10)
    assert (result.accuracy_a, result.accuracy_b) == (0.8, 0.9)
    assert result.difference == pytest.approx(0.1)
    assert result.difference_interval.low < 0.1 < result.difference_interval.high
    assert result.p_value == pytest.approx(2 * binom.cdf(10, 40, 0.5))
    assert len(result.differing) == 40
    assert result.differing[0] == {"name": data.names[0], "truth": "cat", "a": "dog", "b": "cat"}
    cats = data.labels == 0
    assert result.per_class[0] == (
        "cat",
        pytest.approx(1 - (cats & (np.arange(200) < 40)).sum() / cats.sum()),
        pytest.approx(1 - (cats & (np.arange(200) >= 30) & (np.arange(200) < 50)).sum() / cats.sum()),
    )
    assert [row[0] for row in result.per_class] == list(CLASSES)


def test_both_wrong_in_different_ways_is_a_difference_too(data):
    result = compare(table(wrong(data.labels, [5])), table(wrong(data.labels, [5], by=2)), data)
    assert (result.both_wrong, len(result.differing)) == (1, 1)
    assert result.p_value == 1


def test_exchanging_the_models_exchanges_the_result(data):
    a, b = table(wrong(data.labels, np.arange(25))), table(wrong(data.labels, np.arange(20, 80)))
    forward, back = compare(a, b, data), compare(b, a, data)
    assert (forward.only_a, forward.only_b, forward.p_value) == (back.only_b, back.only_a, back.p_value)
    assert forward.difference == -back.difference
    assert forward.difference_interval.low == pytest.approx(-back.difference_interval.high, abs=0.02)


def test_a_model_does_not_differ_from_itself(data):
    model = table(wrong(data.labels, np.arange(30)))
    result = compare(model, model, data)
    assert (result.difference, result.p_value, result.differing) == (0, 1, ())
    assert result.difference_interval == (0, 0)


def test_classes_in_another_order_are_the_same_classes(data):
    order = ("hen", "cat", "dog")
    other = np.array([order.index(CLASSES[label]) for label in data.labels])
    result = compare(table(data.labels), table(other, order), data)
    assert (result.accuracy_a, result.accuracy_b, result.differing) == (1, 1, ())
    reversed_order = compare(table(other, order), table(wrong(data.labels, [0])), data)
    assert reversed_order.differing == ({"name": data.names[0], "truth": "cat", "a": "cat", "b": "dog"},)
    assert [row[0] for row in reversed_order.per_class] == ["hen", "cat", "dog"]


def test_other_classes_are_refused(data):
    with pytest.raises(OpsinError, match=r"only the first knows \['hen'\], only the second \['pig'\]"):
        compare(table(data.labels), table(data.labels, ("cat", "dog", "pig")), data.test)
    pigs = Dataset.from_arrays(data.pictures, ["pig", "cat"] * 100)
    with pytest.raises(OpsinError, match="does not know the class 'pig'"):
        compare(table(data.labels), table(data.labels), pigs)


def run_of(model, data, out):
    write_json(out / "run.json", {"classes": list(model.classes)})
    data.write_splits(out / "splits.parquet")
    model.origin = out
    return model


def test_images_that_either_was_trained_on_are_left_out(data, tmp_path):
    """The planted fault: the first model is wrong wherever it was not trained; scored on all it would look good."""
    seen = np.concatenate([data.train.indices, data.validation.indices])
    a = run_of(table(wrong(data.labels, data.test.indices)), data, tmp_path / "a")
    result = compare(a, table(data.labels), data)
    assert (result.images, result.excluded) == (len(data.test), len(seen))
    assert (result.accuracy_a, result.accuracy_b) == (0, 1)
    assert result.names[0] == str(tmp_path / "a")
    assert result.notes == (
        "it is not known which images the second model was trained on: if these were among them, its figures are too "
        "good",
    )
    other = Dataset.from_arrays(data.pictures, data.labels, classes=CLASSES, seed=5)
    b = run_of(table(data.labels), other, tmp_path / "b")
    both = compare(a, b, data)
    assert both.images == len(set(data.test.indices) & set(other.test.indices))
    assert both.notes == ()
    with pytest.raises(CheckFailed, match="nothing is left to score"):
        compare(a, b, data.train)


def test_equal_models_seldom_differ_significantly_and_unequal_ones_mostly_do():
    rng = np.random.default_rng(0)
    alarms = {0.0: 0, 0.15: 0}
    for gain in alarms:
        for _ in range(300):
            right = rng.random((2, 200)) < np.array([[0.7], [0.7 + gain]])
            alarms[gain] += mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())) < 0.05
    assert alarms[0.0] / 300 < 0.07
    assert alarms[0.15] / 300 > 0.8


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_test_is_the_sum_over_the_tails(only_a, only_b):
    total = only_a + only_b
    slow = min(1.0, 2 * sum(binom.pmf(i, total, 0.5) for i in range(min(only_a, only_b) + 1)))
    assert mcnemar(only_a, only_b) == pytest.approx(slow)


def test_subsets_of_the_classes_have_rows_for_those_that_occur(data):
    rows = np.flatnonzero(data.labels < 2)
    part = Dataset.from_arrays(data.pictures[rows], data.labels[rows], classes=CLASSES[:2])
    result = compare(table(data.labels), table(data.labels), part)
    assert [row[0] for row in result.per_class] == ["cat", "dog"]


def test_it_can_be_written_down(data, tmp_path):
    import json

    from opsin.files import to_json

    values = json.loads(to_json(compare(table(data.labels), table(wrong(data.labels, [1])), data).as_dict()))
    assert values["differing"] == [{"name": data.names[1], "truth": "dog", "a": "dog", "b": "hen"}]
    assert set(values["difference_interval"]) == {"low", "high"}
