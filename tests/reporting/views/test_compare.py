"""Two models on the same images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import opsin
from opsin.errors import OpsinError
from opsin.evidence.kept import keep
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack


@pytest.fixture(scope="module")
def other(digits) -> opsin.Classifier:
    return opsin.build_model("lenet5", classes=digits.classes[::-1], channels=1, size=28, seed=3)


@pytest.fixture(scope="module")
def subject(digits_run, other) -> Subject:
    """A trained network, beside one that knows nothing and has its classes in another order."""
    found = {"weak": Subject.of(other), "self": Subject.of(digits_run)}
    subject = Subject.of(digits_run)
    subject.others = found.__getitem__
    subject.other_names = lambda: {id: thing.name for id, thing in found.items()}
    return subject


def test_what_can_be_compared_with(subject):
    told = answer(subject, "others", {})
    assert told["ids"] == ["weak", "self"]
    assert told["names"] == ["lenet5", "digits"]
    assert "grad_cam" in told["methods"]


def test_alone(digits_run):
    alone = Subject.of(digits_run)
    assert answer(alone, "others", {})["ids"] == []
    with pytest.raises(OpsinError, match="the only model here"):
        answer(alone, "compare", {"other": "x"})


def test_answers_belong_to_their_images_and_classes(subject, digits_run, other):
    told = answer(subject, "compare", {"other": "weak"})
    rows = [0, 17, 500]
    pictures = [seen.pixels for seen in subject.seen([told["ids"][row] for row in rows])]
    for which, model in (("a", subject.model), ("b", other)):
        prediction = opsin.predict(model, pictures)
        named = [told["classes"][told[f"answers_{which}"][row]] for row in rows]
        assert named == list(prediction.labels)
        np.testing.assert_allclose(told[f"confidence_{which}"][rows], prediction.confidence, atol=1e-4)
    labels = [seen.label for seen in subject.seen([told["ids"][row] for row in rows])]
    assert told["labels"][rows].tolist() == labels
    assert told["classes"] == list(digits_run.classes)
    pack(told)


def test_figures_are_those_of_opsin_compare(subject, other):
    told = answer(subject, "compare", {"other": "weak"})
    wanted = opsin.compare(subject.model, other, subject.data.test)
    for name in ("images", "accuracy_a", "accuracy_b", "difference", "p_value", "only_a", "only_b", "both_wrong"):
        assert told[name] == getattr(wanted, name), name
    assert told["interval"] == list(wanted.difference_interval)
    right = told["answers_a"] == told["labels"], told["answers_b"] == told["labels"]
    assert told["only_a"] == (right[0] & ~right[1]).sum()
    assert len(wanted.differing) == (told["answers_a"] != told["answers_b"]).sum()
    assert 0 < told["distance"].max() <= 1


def test_a_model_compared_with_itself_differs_nowhere(subject):
    told = answer(subject, "compare", {"other": "self"})
    assert told["difference"] == 0
    assert told["distance"].max() < 1e-5
    assert told["p_value"] == 1
    maps = answer(subject, "compare_maps", {"other": "self", "images": ["test/0", "probe/1"]})
    np.testing.assert_allclose(maps["agreement"]["spearman"], 1, atol=1e-6)
    np.testing.assert_allclose(maps["agreement"]["ssim"], 1, atol=1e-6)
    np.testing.assert_array_equal(maps["maps_a"], maps["maps_b"])


def test_images_that_the_other_was_tuned_on_are_left_out(subject):
    with pytest.raises(opsin.errors.CheckFailed, match="used to train or tune"):
        answer(subject, "compare", {"other": "self", "split": "validation"})


def test_maps_are_those_of_explain_for_the_same_class(subject, other):
    asked = {"other": "weak", "images": ["test/3", "test/8"], "method": "saliency", "target": "truth"}
    told = answer(subject, "compare_maps", asked)
    names = [subject.classes[target] for target in told["targets"]]
    assert names == [subject.classes[seen.label] for seen in subject.seen(asked["images"])]
    inputs = subject.inputs(asked["images"])
    for which, model in (("a", subject.model), ("b", other)):
        wanted = opsin.explain(model, inputs, "saliency", target=names).maps
        low, high = (told[f"{name}_{which}"][:, None, None] for name in ("low", "high"))
        found = low + told[f"maps_{which}"] / 255 * (high - low)
        np.testing.assert_allclose(found, wanted, atol=float((high - low).max()) / 250)
    assert told["verdict_a"] == told["verdict_b"] == "not checked yet"


def test_whose_answer_is_explained(subject, other):
    images = ["test/1", "test/2"]
    for which, model in (("a", subject.model), ("b", other)):
        told = answer(subject, "compare_maps", {"other": "weak", "images": images, "target": which})
        wanted = opsin.predict(model, [seen.pixels for seen in subject.seen(images)]).labels
        assert [subject.classes[target] for target in told["targets"]] == list(wanted)


def test_a_network_that_sees_larger_pictures(subject, digits):
    large = opsin.build_model("lenet5", classes=digits.classes, channels=1, size=56, seed=0)
    beside = Subject.of(subject.run)
    beside.others = lambda _: Subject.of(large)
    told = answer(beside, "compare_maps", {"other": "x", "images": ["test/0", "probe/0"], "method": "saliency"})
    assert told["maps_a"].shape == told["maps_b"].shape == (2, 28, 28)
    assert told["unlike"] is None
    cropping = large.preprocess.model_copy(update={"crop": 0.5})
    cropped = opsin.Classifier(large.module, large.classes, cropping)
    beside.others = lambda _: Subject.of(cropped)
    told = answer(beside, "compare_maps", {"other": "x", "images": ["test/0"], "method": "saliency"})
    assert told["agreement"] is None
    assert "other parts" in told["unlike"]


def test_verdicts_are_those_that_the_run_kept(make_run):
    from tests.reporting.conftest import make_evidence, make_explanation

    run = make_run()
    explanation = make_explanation("grad_cam")
    keep(run.path, explanation, make_evidence(explanation))
    keep(run.path, dataclasses.replace(explanation, method="saliency"))
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3))
    model = opsin.Classifier(net, run.classes, opsin.data.preprocess.Preprocess.simple(1, 8))
    subject = Subject("tiny", run, lambda: model, others=lambda _: Subject.of(model))
    for method, verdict in (("grad_cam", "better than random"), ("saliency", "not checked yet")):
        told = answer(subject, "compare_maps", {"other": "x", "images": ["probe/0"], "method": method})
        assert told["verdict_a"] == verdict
        assert told["verdict_b"] == "not checked yet"


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"images": []}, "expected 1 to 24"),
        ({"images": ["test/99999"]}, "no picture 'test/99999'"),
        ({"images": ["test/0"], "method": "magic"}, "'magic' was asked for"),
    ],
)
def test_what_cannot_be_compared_is_refused(subject, args, match):
    with pytest.raises(OpsinError, match=match):
        answer(subject, "compare_maps", {"other": "weak", **args})


def test_a_drawn_picture_has_no_truth_to_explain(subject):
    drawn = subject.images.put(np.zeros((28, 28), np.uint8), "drawn")
    with pytest.raises(OpsinError, match="is not known"):
        answer(subject, "compare_maps", {"other": "weak", "images": [drawn.id], "target": "truth"})


def test_models_of_other_classes_are_refused(subject):
    beside = Subject.of(subject.run)
    beside.others = lambda _: Subject.of(opsin.build_model("lenet5", classes=("x", "y"), channels=1, size=28))
    with pytest.raises(OpsinError, match="other classes"):
        answer(beside, "compare", {"other": "x"})
