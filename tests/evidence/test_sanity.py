"""Model randomisation: the network is destroyed from the top down, on a copy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import opsin
from opsin.evidence import sanity
from opsin.evidence.controls import edges
from opsin.evidence.sanity import cascade, layers_by_depth, randomise


def test_layers_come_from_the_score_down(square_model, square_images):
    assert layers_by_depth(square_model, square_images[0]) == ["fc", "conv3", "conv2", "conv1"]
    assert not any(part._forward_hooks for part in square_model.module.modules())


def test_randomising_keeps_size_and_loses_content():
    layer = torch.nn.Linear(200, 100)
    before = layer.weight.detach().clone()
    assert randomise(layer, torch.Generator().manual_seed(0)) == 200 * 100 + 100
    after = layer.weight.detach()
    assert float(after.std()) == pytest.approx(float(before.std()), rel=0.05)
    assert abs(float(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1])) < 0.05


def test_each_stage_destroys_more_and_the_model_stays(square_model, square_images):
    inputs = square_images[0][:4]
    weights = {name: value.clone() for name, value in square_model.module.state_dict().items()}
    changed = []

    def look(other):
        now = other.module.state_dict()
        changed.append({name.split(".")[0] for name, value in weights.items() if not torch.equal(value, now[name])})
        return inputs[:, 0].numpy()

    found = cascade(square_model, inputs, inputs[:, 0].numpy(), look, seed=0)
    assert changed == [{"fc"}, {"fc", "conv3"}, {"fc", "conv3", "conv2"}, {"fc", "conv3", "conv2", "conv1"}]
    assert found.layers == (("fc",), ("conv3",), ("conv2",), ("conv1",))
    assert found.shares[-1] == 1
    assert (np.diff(found.shares) > 0).all()
    np.testing.assert_allclose(found.alike, 1)  # a map that does not look at the network stays alike
    assert all(torch.equal(value, weights[name]) for name, value in square_model.module.state_dict().items())


def test_deep_networks_are_randomised_in_groups():
    model = opsin.build_model("resnet_small", classes=("a", "b"), channels=1, size=16)
    inputs = torch.randn(2, 1, 16, 16)
    found = cascade(model, inputs, inputs[:, 0].numpy(), lambda _: inputs[:, 0].numpy(), seed=0)
    assert len(found.layers) == sanity.STAGES
    named = [name for group in found.layers for name in group]
    assert named == layers_by_depth(model, inputs)
    assert found.shares[-1] == 1


@pytest.mark.parametrize(("method", "fails"), [("grad_cam", False), ("saliency", False), ("guided_backprop", True)])
def test_guided_backprop_fails_on_random_weights(method, fails):
    """Adebayo et al. 2018: gradients and Grad-CAM pass, guided backpropagation draws edges whatever the weights are."""
    model = opsin.build_model("seed_cnn", classes=("a", "b", "c"), channels=1, size=28, seed=3)
    coarse = torch.randn(8, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    inputs = torch.nn.functional.interpolate(coarse, 28, mode="bicubic")
    why = opsin.explain(model, inputs, method)
    proof = opsin.check(why, model, measures=["randomisation"])
    assert (proof.verdict == "fails the sanity check") == fails
    assert proof.failed == fails
    stages = proof.measures["randomisation"].protocol["stages"]
    assert stages[0][0] == "fc2"


def test_an_edge_detector_fails_though_it_is_given_as_a_method(square_model, square_images):
    from opsin.explanation.job import Answer

    def edge_detector(job):
        return Answer([edges(job.inputs)[:, None]], job.resolve(job.model.logits(job.inputs)), evaluations=1)

    why = opsin.explain(square_model, square_images[0], edge_detector)
    proof = opsin.check(why, square_model, measures=["deletion", "randomisation"], method=edge_detector)
    assert proof.verdict == "fails the sanity check"
    assert "stay alike: likeness 1.00" in proof.reasons[1]
    unknown = opsin.check(why, square_model, measures=["randomisation"])
    assert unknown.verdict == "not checked yet"
    assert unknown.skipped["randomisation"] == "edge_detector is a function of your own; give it as method="
