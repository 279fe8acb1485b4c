"""The kernels that are shown are the network's, and the share of Gabor-like ones is that of `opsin.inside.filters`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.inside.gabor import gabor as gabor_function
from opsin.reporting.views import filters as views_filters
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack
from opsin.training.run import Run

CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def waves() -> nn.Module:
    """A network of which two of six filters are Gabor functions, one is dead and the others noise."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 7), nn.ReLU(), nn.Conv2d(6, 40, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(40, 3),
    )  # fmt: skip
    with torch.no_grad():
        weight = net[0].weight
        weight.copy_(torch.randn_like(weight) * 0.2)
        for index, angle in enumerate((0.3, 1.9)):
            wave = gabor_function(np.array([1.0, 0, 0, angle, 1.6, 2.0, 0.22, 0.4]), (7, 7))
            weight[index] = torch.from_numpy(wave).float() * torch.tensor([1.0, 0.8, 0.5])[:, None, None]
        weight[2] = 0
    return net


@pytest.fixture(scope="module")
def recorded(waves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters") / "waves"
    optimiser = torch.optim.SGD(waves.parameters(), lr=1e-4)
    probe = torch.rand(3, 3, 24, 24)
    with opsin.record(waves, probe, out=folder, every=1) as recording:
        loss = waves(probe).square().mean()
        loss.backward()
        optimiser.step()
        recording.step(loss=loss.item())
    return folder


def ask(thing, question="filters", **args):
    return answer(Subject.of(thing), question, args)


def test_the_weights_of_the_network_as_it_is(waves):
    told = ask(opsin.Classifier(waves, classes=CLASSES))
    assert (told["layers"], told["layer"], told["step"], told["first"]) == (["0", "2"], "0", None, True)
    assert np.array_equal(told["weights"], waves[0].weight.detach().numpy())
    assert told["peak"] == pytest.approx(float(waves[0].weight.detach().abs().max()))
    assert told["fit"] is None
    pack(told)


def test_the_weights_at_a_step(recorded):
    run = Run(recorded)
    for layer in ("0", "2"):
        told = ask(run, layer=layer, step=1)
        snapshot = run.snapshot(1)
        assert np.array_equal(told["weights"], snapshot.filters[layer])
        assert told["outputs"].tolist() == snapshot.filter_channels[layer].tolist()
        assert told["step"] == 1
    assert ask(run, layer="2", step=1)["total"] == 40
    assert not np.array_equal(ask(run, step=0)["weights"], ask(run, step=1)["weights"])


def test_without_a_network_the_last_snapshot_is_shown(recorded):
    assert ask(Run(recorded))["step"] == 1


def test_of_a_large_convolution_even_filters_are_shown(waves, monkeypatch):
    monkeypatch.setattr(views_filters, "MOST_VALUES", 6 * 9 * 5)
    told = ask(opsin.Classifier(waves, classes=CLASSES), layer="2")
    assert told["outputs"].tolist() == [0, 10, 20, 29, 39]
    assert told["total"] == 40
    assert np.array_equal(told["weights"], waves[2].weight.detach().numpy()[told["outputs"]])
    assert len(ask(opsin.Classifier(waves, classes=CLASSES))["outputs"]) == 6  # the first comes whole


def test_why_there_is_no_share(waves):
    assert ask(opsin.Classifier(waves, classes=CLASSES), layer="2")["fit"] == "kernel"
    assert ask(opsin.build_model("seed_cnn", classes=10, channels=1, size=28))["fit"] == "kernel"
    wide = nn.Sequential(nn.Conv2d(6, 4, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert ask(opsin.Classifier(wide, classes=("a", "b", "c", "d")))["fit"] == "inputs"
    assert not ask(opsin.Classifier(wide, classes=("a", "b", "c", "d")))["first"]


def test_the_planted_waves_are_found(recorded, waves):
    told = ask(Run(recorded), "gabor", step=0)
    assert told["like"].tolist()[:3] == [True, True, False]
    assert told["dead"].tolist() == [False, False, True, False, False, False]
    found = opsin.inside.filters(opsin.Classifier(waves, classes=CLASSES))
    assert told["share"] == found.gabor_share
    assert told["control_share"] == found.control_share
    assert told["r2"] == pytest.approx(found.r2, abs=0.02)  # weights of snapshots are float16
    pack(told)


def test_small_kernels_have_no_share():
    told = ask(opsin.build_model("seed_cnn", classes=10, channels=1, size=28), "gabor")
    assert told["share"] is None
    assert told["r2"] is None


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"layer": "6"}, "'6' is no convolution; choose one of 0, 2"),
        ({"step": 7}, "step 7 of waves has no snapshot"),
        ({"step": -2}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_shown_is_refused(recorded, args, match):
    with pytest.raises(OpsinError, match=match):
        ask(Run(recorded), **args)


def test_a_network_without_convolutions():
    flat = opsin.Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), classes=("a", "b"))
    with pytest.raises(OpsinError, match="no convolution over pictures"):
        ask(flat)
