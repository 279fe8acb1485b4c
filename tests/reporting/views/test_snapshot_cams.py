"""Gradient CAMs of an earlier step against those of the network itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.reporting.texts import packaged
from opsin.reporting.views.snapshot_cams import FORMULAS, cam_layers, snapshot_cams


@pytest.fixture(scope="module")
def network_and_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cams") / "run"
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 3)
    )
    probe, labels = torch.rand(5, 1, 12, 12), torch.arange(5) % 3
    optimiser = torch.optim.SGD(net.parameters(), lr=0.2)
    with opsin.record(net, probe, out=folder, labels=labels, classes=("a", "b", "c"), every=2) as recording:
        for _ in range(4):
            optimiser.zero_grad()
            loss = F.cross_entropy(net(probe), labels)
            loss.backward()
            optimiser.step()
            recording.step(loss=loss.item())
    return opsin.Classifier(net, ("a", "b", "c")), probe, opsin.Run(folder)


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("layer", [None, "1"])
def test_maps_are_those_of_the_network_at_that_step(network_and_run, method, layer):
    model, probe, run = network_and_run
    snapshot = run.snapshot(run.snapshot_steps[-1])
    found = snapshot_cams(run, snapshot, method, range(5), None, layer)
    expected = opsin.explain(model, probe, method, layer=layer or "3")
    assert found.layer == (layer or "3")
    assert np.array_equal(found.targets, expected.targets)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    scale = expected.maps.max()
    assert scale > 0
    # activations are kept in 256 levels; behind a ReLU zero is one of them
    assert np.abs(found.maps - expected.maps).max() < 0.03 * scale
    other = snapshot_cams(run, run.snapshot(0), method, range(5), None, layer)
    assert np.abs(other.maps - expected.maps).max() > 0.1 * scale


def test_another_class_is_explained_where_it_is_the_label(network_and_run):
    model, probe, run = network_and_run
    snapshot = run.snapshot(run.snapshot_steps[-1])
    predicted = snapshot.probabilities.argmax(axis=1)
    labels = run.probe.labels
    row = int(np.flatnonzero(predicted != labels)[0])
    found = snapshot_cams(run, snapshot, "hires_cam", [row], int(labels[row]), None)
    expected = opsin.explain(model, probe[row : row + 1], "hires_cam", target=int(labels[row]), layer="3")
    assert np.abs(found.maps - expected.maps).max() < 0.03 * expected.maps.max()
    neither = next(index for index in range(3) if index not in (predicted[row], labels[row]))
    with pytest.raises(OpsinError, match="label and of its predicted class only"):
        snapshot_cams(run, snapshot, "hires_cam", [row], neither, None)


def test_what_a_snapshot_cannot_tell_is_refused(network_and_run):
    _, _, run = network_and_run
    snapshot = run.snapshot(0)
    assert cam_layers(run, snapshot) == ["0", "1", "2", "3"]
    with pytest.raises(OpsinError, match=r"rise needs the network as it was at step 0.*choose one of grad_cam"):
        snapshot_cams(run, snapshot, "rise", [0], None, None)
    with pytest.raises(OpsinError, match="no maps with gradients of 6 are kept; choose one of 0, 1, 2, 3"):
        snapshot_cams(run, snapshot, "grad_cam", [0], None, "6")


def test_notes_say_where_the_maps_come_from(network_and_run):
    _, _, run = network_and_run
    snapshot = run.snapshot(0)
    notes = snapshot_cams(run, snapshot, "grad_cam", [0], None, None).notes
    assert notes[0].key == "why.of_snapshot"
    blank = {**snapshot.gradients_predicted, "3": np.zeros_like(snapshot.gradients_predicted["3"])}
    object.__setattr__(snapshot, "gradients_predicted", blank)
    object.__setattr__(snapshot, "activations", {**snapshot.activations, "3": snapshot.activations["3"][:, :4]})
    blank["3"] = blank["3"][:, :4]
    notes = snapshot_cams(run, snapshot, "grad_cam", [0, 1], None, None).notes
    assert [note.key for note in notes] == ["why.of_snapshot", "why.thinned", "why.blank_maps"]
    assert "4 of 6" in packaged().lower(notes[1], "en")
