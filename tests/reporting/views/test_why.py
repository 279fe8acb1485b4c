"""Maps by method: the same as explain's, refused where explain refuses, with the badge only where it belongs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.evidence import controls
from opsin.explanation.methods import METHODS
from opsin.explanation.recommend import ADVICE, BLACK_BOX
from opsin.reporting.texts import packaged
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.why import ADVICE_KEYS
from opsin.reporting.views.wire import pack

IDS = ["probe/0", "probe/3", "validation/5"]


@pytest.fixture(scope="module")
def subject(digits_run, tmp_path_factory) -> Subject:
    folder = tmp_path_factory.mktemp("why") / "digits"
    shutil.copytree(digits_run.path, folder)
    return Subject.of(folder)


@pytest.fixture(scope="module")
def checked(kept_check) -> Subject:
    return kept_check[0]


def column(subject: Subject, method: str, question: str = "why", **args) -> dict:
    (found,) = answer(subject, question, {"images": IDS, "methods": [method], **args})["methods"]
    pack(found)
    return found


def restored(heat: dict) -> np.ndarray:
    low, high = heat["low"][:, None, None], heat["high"][:, None, None]
    return low + heat["maps"] / 255 * (high - low)


@pytest.mark.parametrize(
    ("method", "target"),
    [("grad_cam", None), ("grad_cam", 3), ("grad_cam", [4, 9]), ("saliency", None), ("input_x_gradient", [4, 9])],
)
def test_maps_are_those_of_explain(subject, method, target):
    found = column(subject, method, target=target)
    asked = tuple(target) if isinstance(target, list) else target
    expected = opsin.explain(subject.model, subject.inputs(IDS), method, target=asked)
    full = found["maps"]["full"][:, None, None]
    clipped = np.clip(expected.maps, -full, full)
    assert np.abs(restored(found["maps"]) - clipped).max() <= 0.005 * full.max()
    assert found["targets"].tolist() == expected.targets.tolist()
    assert (found["against"] is None) == (not isinstance(target, list))
    assert found["layer"] == expected.layer
    random, edges = controls.control_maps(expected, 0)
    assert np.allclose(found["random"]["largest"], random.max(axis=(1, 2)))
    assert np.allclose(found["edges"]["largest"], edges.max(axis=(1, 2)))


def test_image_by_image_is_the_same_and_tells_how_far_it_is(subject):
    told = []
    args = {"images": IDS, "methods": ["rise"]}
    slowly = answer(subject, "explain", args, lambda *now: told.append(now))["methods"][0]
    at_once = column(subject, "rise")
    assert np.allclose(restored(slowly["maps"]), restored(at_once["maps"]), atol=1e-5)
    assert told == [("rise", done, 3) for done in range(4)]
    assert np.allclose(slowly["error"], at_once["error"])


def test_a_method_that_refuses_says_why_and_the_others_do_not_mind(subject):
    found = answer(subject, "why", {"images": IDS, "methods": ["softmax_cam", "grad_cam", "nope"]})["methods"]
    assert "its last linear layer does not take the channels" in found[0]["refused"]
    assert found[1]["maps"]["maps"].shape == (3, 28, 28)
    assert "there is no method 'nope'" in found[2]["refused"]


def test_a_layer_counts_only_for_methods_that_look_at_one(subject):
    assert column(subject, "grad_cam", layer="conv1")["layer"] == "conv1"
    assert column(subject, "saliency", layer="conv1")["layer"] == ""
    assert "there is no layer 'nope'" in column(subject, "grad_cam", layer="nope")["refused"]


def test_blank_maps_come_with_their_warning(subject):
    model = opsin.build_model("lenet5", classes=("a", "b"), channels=1, size=28, seed=0)
    for parameter in model.module.parameters():
        parameter.data.zero_()
    (found,) = answer(Subject.of(model), "why", {"images": ["example/0"], "methods": ["grad_cam"]})["methods"]
    assert found["maps"]["full"][0] == 0
    assert any("blank" in note["en"] or "zero" in note["en"] for note in found["notes"])


def test_evidence_counts_only_for_what_was_checked(checked, subject):
    kept = column(checked, "grad_cam")["evidence"]
    assert kept["images"] == 32
    assert kept["verdict"] == answer(checked, "evidence", {"method": "grad_cam"})["verdict"]
    assert column(checked, "hires_cam")["evidence"] is None
    assert column(checked, "grad_cam", target=3)["evidence"] is None
    assert column(checked, "grad_cam", target=[3, 5])["evidence"] is None
    assert column(checked, "grad_cam", layer="conv1")["evidence"] is None
    assert column(checked, "grad_cam", layer=kept["layer"])["evidence"] == kept
    assert column(subject, "grad_cam")["evidence"] is None


def test_evidence_of_one_class_for_all_is_not_that_of_the_predicted_ones(checked):
    before = checked.material.kept
    (item,) = before[0]
    item.explanation.targets[:] = 3
    try:
        assert column(checked, "grad_cam")["evidence"] is None
    finally:
        checked.forget(model=False)
    assert column(checked, "grad_cam")["evidence"] is not None


def test_an_earlier_step_takes_no_network(subject, digits_run):
    alone = Subject("alone", opsin.Run(subject.run.path), None)
    ids = ["probe/0", "probe/1"]
    early, late = digits_run.snapshot_steps[1], digits_run.snapshot_steps[-1]
    args = {"images": ids, "methods": ["grad_cam", "occlusion"]}
    found = {step: answer(alone, "why", {**args, "step": step})["methods"] for step in (early, early + 1, late)}
    assert found[early][0]["step"] == found[early + 1][0]["step"] == early
    assert np.array_equal(found[early][0]["maps"]["maps"], found[early + 1][0]["maps"]["maps"])
    assert not np.array_equal(found[early][0]["maps"]["maps"], found[late][0]["maps"]["maps"])
    assert "only activations and gradients are kept" in found[late][1]["refused"]
    told = answer(alone, "answers", {"images": ids, "step": early})
    probabilities = digits_run.snapshot(early).probabilities[:2]
    assert told["best"][:, 0].tolist() == probabilities.argmax(axis=1).tolist()
    assert np.allclose(told["shares"][:, 0], probabilities.max(axis=1))
    (other,) = answer(alone, "why", {"images": ["test/0"], "methods": ["grad_cam"], "step": early})["methods"]
    assert "only of the probe's images" in other["refused"]
    (pair,) = answer(alone, "why", {**args, "methods": ["grad_cam"], "target": [1, 2], "step": early})["methods"]
    assert "takes the network" in pair["refused"]
    (now,) = answer(alone, "explain", {"images": ids, "methods": ["grad_cam"]})["methods"]
    assert "has no network" in now["refused"]


def test_pictures_are_what_the_network_gets(subject):
    found = answer(subject, "answers", {"images": IDS})
    assert np.array_equal(found["pixels"][0], subject.run.probe.images[0])
    logits = subject.model.logits(subject.inputs(IDS))
    assert found["best"][:, 0].tolist() == logits.argmax(dim=1).tolist()
    assert found["labels"][0] == subject.run.probe.labels[0]
    assert np.allclose(found["shares"], -np.sort(-logits.softmax(dim=1).numpy(), axis=1)[:, :3])


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"images": [], "methods": ["grad_cam"]}, "0 pictures were asked for"),
        ({"images": ["probe/0"] * 25, "methods": ["grad_cam"]}, "25 pictures"),
        ({"images": ["probe/0"], "methods": ["grad_cam"], "target": [1, 2, 3]}, "why the first rather than the second"),
    ],
)
def test_what_cannot_be_asked(subject, args, match):
    with pytest.raises(OpsinError, match=match):
        answer(subject, "why", args)


@pytest.mark.parametrize("args", [{"images": ["probe/999"]}, {"target": 99}, {"target": [2, 2]}])
def test_what_explain_refuses_stands_in_the_cell(subject, args):
    (found,) = answer(subject, "why", {"images": IDS, "methods": ["grad_cam"], **args})["methods"]
    assert found["refused"]
    assert "\n" not in found["refused"]


def test_methods_say_what_they_say_elsewhere(subject):
    told = answer(subject, "methods", {})
    pack(told)
    assert [item["name"] for item in told["methods"]] == list(METHODS)
    for item in told["methods"]:
        method = METHODS[item["name"]]
        assert (item["needs"]["en"], item["cost"]["en"], item["fails"]["en"]) == (
            method.needs, method.cost, method.fails,
        )  # fmt: skip
        assert item["slow"] is False
    assert told["recommended"]["method"] == "integrated_gradients"
    assert told["default_layer"] == "relu2"
    assert {"name": "conv1", "rows": 26, "columns": 26} in told["layers"]
    assert told["kept"] == {}


def test_the_reasons_of_every_advice_are_translated():
    for key, advice in zip(ADVICE_KEYS, (*ADVICE, BLACK_BOX), strict=True):
        assert packaged().entries[f"advice.{key}"]["en"] == advice.reason


def test_methods_of_a_large_network_are_asked_for_one_by_one():
    model = opsin.build_model("resnet_small", classes=("<b>", "c"), channels=3, size=96)
    told = answer(Subject.of(model), "methods", {})
    slow = {item["name"] for item in told["methods"] if item["slow"]}
    assert {"rise", "occlusion", "integrated_gradients", "smooth_grad"} <= slow
    assert not slow & {"grad_cam", "saliency"}


def test_a_run_without_its_network_still_tells_what_it_keeps(checked):
    alone = Subject("alone", opsin.Run(checked.run.path), None)
    told = answer(alone, "methods", {})
    assert told["recommended"] is None
    assert told["layers"] == []
    assert set(told["kept"]) == {"grad_cam"}
