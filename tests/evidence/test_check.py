"""`opsin.check` as a whole: verdicts, determinism, records, bad input, and real digits."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch

import opsin
from opsin.errors import OpsinError
from opsin.evidence.check import FAITHFULNESS, MEASURES
from opsin.explanation.guards import BlankMapWarning
from opsin.models.classifier import Classifier
from opsin.records import Evidence, Explanation

QUICK = FAITHFULNESS


@pytest.fixture(scope="module")
def why(square_model, square_images) -> Explanation:
    return opsin.explain(square_model, square_images[0], "integrated_gradients")


@pytest.fixture(scope="module")
def proof(why, square_model, square_images) -> Evidence:
    return opsin.check(why, square_model, steps=8, baseline="constant", regions=square_images[2].numpy())


def test_a_right_map_is_better_than_random_in_every_measure(proof):
    assert proof.verdict == "better than random"
    assert not proof.failed
    assert not proof.skipped
    assert set(proof.measures) == set(MEASURES)
    for name in (*FAITHFULNESS, "infidelity", "energy", "pointing"):
        assert proof.measures[name].controls["random"].p_value < 0.01, name
        assert proof.measures[name].controls["random"].advantage > 0, name
    assert proof.measures["randomisation"].mean < 0.5
    completeness = proof.measures["completeness"]
    assert completeness.mean < 0.01 * completeness.protocol["mean_change"]
    assert proof.advantage_interval.low > 0
    assert proof.p_value < 0.01


def test_every_measure_says_its_protocol(proof, why):
    for name, measure in proof.measures.items():
        assert measure.protocol["seed"] == 0
        assert measure.better == MEASURES[name]
        assert measure.interval.low <= measure.mean <= measure.interval.high
        assert np.isfinite(measure.values).all()
        if name not in ("max_sensitivity", "randomisation", "grid_pointing"):
            assert measure.values.shape == (len(why),)
    assert proof.measures["deletion"].protocol["steps"] == 8
    assert proof.measures["deletion"].protocol["baseline"] == "constant"
    assert proof.measures["deletion"].protocol["score"] == "probability"
    curve = proof.measures["deletion"].curve
    assert curve.shape == (9, 4)
    np.testing.assert_allclose(curve[[0, -1], 0], [0, 1])
    np.testing.assert_allclose(curve[0, 1:], curve[0, 1])  # all start at the image itself


def test_the_negative_of_a_right_map_is_worse_than_random(why, square_model, proof):
    wrong = opsin.check(dataclasses.replace(why, maps=-why.maps), square_model, steps=8, baseline="constant")
    assert wrong.verdict == "no better than random"
    assert wrong.failed
    assert wrong.advantage_interval.high < 0
    for name in FAITHFULNESS:
        assert wrong.measures[name].controls["random"].p_value > 0.9
        sign = 1 if MEASURES[name] == "higher" else -1
        assert sign * (proof.measures[name].mean - wrong.measures[name].mean) > 0
    assert "not those that integrated_gradients gives" in wrong.skipped["randomisation"]


@pytest.mark.parametrize("seed", range(3))
def test_a_random_map_is_no_better_than_random(why, square_model, seed):
    noise = np.random.default_rng(seed).normal(size=why.maps.shape).astype(np.float32)
    found = opsin.check(dataclasses.replace(why, maps=noise), square_model, measures=QUICK, steps=8)
    assert found.verdict == "no better than random"


def test_a_blank_map_is_no_better_than_random(why, square_model):
    blank = dataclasses.replace(why, maps=np.zeros_like(why.maps))
    assert opsin.check(blank, square_model, measures=QUICK, steps=8).verdict == "no better than random"


def test_maps_of_other_images_are_no_better_and_are_told(why, square_model):
    other = opsin.check(dataclasses.replace(why, maps=np.roll(why.maps, 2, axis=0)), square_model, steps=8)
    assert other.verdict == "no better than random"
    assert "not those that integrated_gradients gives for this model and these inputs" in other.skipped["randomisation"]


def test_a_class_map_checked_for_another_class_is_no_better(why, square_model):
    other = dataclasses.replace(why, targets=(why.targets + 1) % 4)
    assert opsin.check(other, square_model, measures=QUICK, steps=8).verdict == "no better than random"


def test_one_image_is_enough_for_a_verdict_and_gets_a_note(square_model, square_images):
    why = opsin.explain(square_model, square_images[0][:1], "integrated_gradients")
    found = opsin.check(why, square_model, measures=QUICK, steps=8)
    assert found.measures["deletion"].protocol["random_maps"] == 19
    assert found.verdict == "better than random"
    assert "intervals over 1 image say little" in found.notes[0]


def test_what_was_not_measured_is_not_checked_yet(why, square_model):
    found = opsin.check(why, square_model, measures=["infidelity"])
    assert found.verdict == "not checked yet"
    assert found.advantage is None
    assert not found.failed


def test_the_same_seed_gives_the_same_figures_whatever_else_is_measured(why, square_model, proof):
    again = opsin.check(why, square_model, measures=["road_morf", "infidelity", "max_sensitivity"], steps=8)
    for name, measure in again.measures.items():
        np.testing.assert_array_equal(measure.values, proof.measures[name].values)
        np.testing.assert_array_equal(measure.controls["random"].values, proof.measures[name].controls["random"].values)
    other = opsin.check(why, square_model, measures=["road_morf"], seed=1)
    assert not np.array_equal(other.measures["road_morf"].values, again.measures["road_morf"].values)


def test_logits_and_baselines_can_be_chosen(why, square_model):
    found = opsin.check(why, square_model, measures=["deletion"], score="logit", baseline="blurred", steps=4)
    protocol = found.measures["deletion"].protocol
    assert (protocol["score"], protocol["baseline"], protocol["sigma"]) == ("logit", "blurred", 2)


def test_a_baseline_that_still_shows_the_class_is_told(why, square_model):
    """Blurred, a bright square still lies in its quarter."""
    found = opsin.check(why, square_model, measures=["deletion", "insertion"], steps=4)
    assert found.measures["deletion"].protocol["baseline"] == "constant"
    assert found.measures["insertion"].protocol["baseline"] == "blurred"
    assert len(found.notes) == 1
    assert found.notes[0].startswith("insertion tells little: the blurred baseline alone keeps 100 % of the score")


def test_pairs_of_classes_are_checked(square_model, square_images):
    pair = opsin.explain(square_model, square_images[0], "integrated_gradients", target=("top left", "bottom right"))
    found = opsin.check(pair, square_model, steps=8)
    assert found.verdict == "better than random"
    assert "randomisation" in found.measures


def test_nothing_is_left_behind(why, square_model):
    module = square_model.module
    module.train()
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    opsin.check(why, square_model, steps=4)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(part._forward_hooks for part in module.modules())
    module.eval()


def test_a_network_without_parameters_cannot_be_randomised(region_model, explained):
    inputs = torch.rand(3, 1, 16, 16)
    why = opsin.explain(region_model, inputs, "input_x_gradient", target=0)
    found = opsin.check(why, region_model, steps=4, score="logit")
    assert found.skipped["randomisation"] == "Region has no parameters that could be randomised"
    assert found.verdict == "better than random"


def test_evidence_is_saved_and_read_back(proof, tmp_path):
    proof.save(tmp_path / "proof.json")
    found = Evidence.load(tmp_path / "proof.json")
    assert found.as_dict() == proof.as_dict()
    for name, measure in proof.measures.items():
        np.testing.assert_array_equal(found.measures[name].values, measure.values)
        assert found.measures[name].interval == measure.interval
    assert found.text() == proof.text()
    json.dumps(proof.as_dict(), allow_nan=False)


def test_the_table_names_the_verdict_and_every_measure(proof):
    text = proof.text()
    assert "integrated_gradients of Quarters, 24 images: better than random" in text
    assert all(f"\n{name} " in text for name in proof.measures)


def test_a_file_without_evidence_is_refused(tmp_path):
    (tmp_path / "other.json").write_text('{"accuracy": 1}')
    with pytest.raises(OpsinError, match="holds no evidence"):
        Evidence.load(tmp_path / "other.json")
    with pytest.raises(OpsinError, match="cannot read"):
        Evidence.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps was given as 0; expected 1 to 256"),
        ({"steps": 257}, "steps was given as 257"),
        ({"measures": []}, "no measures were given"),
        ({"measures": ["deletoin"]}, r"there is no measure 'deletoin' \(did you mean deletion\?\)"),
        ({"measures": ["pointing"]}, "pointing needs to know where the object is"),
        ({"baseline": "black"}, "baseline was given as 'black'; expected constant or blurred"),
        ({"score": "softmax"}, "score was given as 'softmax'; expected probability or logit"),
        ({"seed": -1}, "seed was given as -1"),
        ({"tolerance": -1}, "tolerance was given as -1"),
        ({"regions": np.zeros((24, 16, 16), bool)}, "region of image 0 is empty"),
        ({"regions": np.ones((3, 16, 16), bool)}, "regions of shape"),
    ],
)
def test_bad_settings(why, square_model, options, message):
    with pytest.raises(OpsinError, match=message):
        opsin.check(why, square_model, **options)


def test_bad_explanations(why, square_model, region_model):
    with pytest.raises(
        OpsinError, match=r"check was given a list; expected one Explanation, such as explain\(...\)\[0\]"
    ):
        opsin.check([why], square_model)
    with pytest.raises(OpsinError, match=r"classes .*top left.*, but Region has .*there, elsewhere"):
        opsin.check(why, region_model)
    renamed = Classifier(square_model.module, ("a", "b", "c", "d"))
    with pytest.raises(OpsinError, match="give the model that was explained"):
        opsin.check(why, renamed)
    three = dataclasses.replace(why, inputs=np.repeat(why.inputs, 3, axis=1))
    with pytest.raises(OpsinError, match="cannot take an input of shape"):
        opsin.check(three, square_model)
    with pytest.raises(OpsinError, match="the maps hold NaN"):
        opsin.check(dataclasses.replace(why, maps=why.maps * np.nan), square_model)
    with pytest.raises(OpsinError, match="not one class below 4 for each"):
        opsin.check(dataclasses.replace(why, targets=why.targets + 4), square_model)
    none = dataclasses.replace(why, maps=why.maps[:0], inputs=why.inputs[:0], targets=why.targets[:0], names=())
    with pytest.raises(OpsinError, match="the explanation holds no image"):
        opsin.check(none, square_model)


def test_real_digits(digits, digits_run):
    model = opsin.load_model(digits_run.path)
    test = digits.test
    chosen = np.concatenate([np.flatnonzero(test.labels == digit)[:4] for digit in range(10)])
    inputs = model.preprocess.normalise(test.pixels(model.preprocess)[chosen])
    try:
        why = opsin.explain(model, inputs, "grad_cam")
    except BlankMapWarning as warning:
        pytest.fail(f"{warning}: the digits are recognised, so there must be something to see")
    proof = opsin.check(why, model, steps=10)
    assert proof.verdict == "better than random"
    assert proof.measures["road_morf"].mean < proof.measures["road_lerf"].mean
    grid = proof.measures["grid_pointing"]
    assert grid.protocol["images_halved"]  # a flattened head takes one size
    assert grid.mean > 0.25
    edges = opsin.check(opsin.explain(model, inputs, "guided_backprop"), model, measures=["randomisation"])
    assert edges.verdict == "fails the sanity check"


def test_a_black_box_is_checked_by_its_scores(square_model, square_images, tmp_path):
    """The same network as a function and as an ONNX file: the same figures; only the weights cannot be randomised."""
    images = square_images[0][:12]
    path = tmp_path / "squares.onnx"
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            square_model.module, (images,), path, dynamo=True, dynamic_shapes=({0: batch},), verbose=False
        )

    def shares(pixels):
        with torch.no_grad():
            return (square_model.module(torch.from_numpy(pixels)) / 8).softmax(dim=1).numpy()

    asked = ["deletion", "insertion", "road_morf", "infidelity", "randomisation"]
    wanted = opsin.check(
        opsin.explain(square_model, images, "occlusion", window=4), square_model, measures=asked, steps=4
    )
    assert wanted.verdict == "better than random"
    for source, drawn_again in ((path, ["max_sensitivity", "grid_pointing"]), (shares, ["max_sensitivity"])):
        why = opsin.explain(source, images, "occlusion", window=4, output="logits")
        found = opsin.check(why, source, measures=[*asked, *drawn_again], steps=4)
        assert found.verdict == "better than random"
        assert "has no parameters that could be randomised" in found.skipped["randomisation"]
        assert set(found.measures) == {*asked, *drawn_again} - {"randomisation"}, found.skipped
    exported = opsin.check(opsin.explain(path, images, "occlusion", window=4), path, measures=asked[:2], steps=4)
    for name, measure in exported.measures.items():
        np.testing.assert_allclose(measure.values, wanted.measures[name].values, atol=1e-4)
