"""Pointing games and energy: known maps, mosaics that show what they should, bad regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.evidence.localisation import Mosaics, as_regions, build_mosaics, energy, grid_pointing, pointing
from opsin.models.classifier import Classifier


def spot(row, column, size=10):
    found = np.zeros((1, 1, size, size))
    found[..., row, column] = 1
    return found


REGION = np.zeros((1, 10, 10), bool)
REGION[:, 2:5, 3:6] = True


def test_a_peak_hits_inside_or_within_the_tolerance():
    assert pointing(spot(3, 4), REGION, 0)[0, 0] == 1
    assert pointing(spot(6, 4), REGION, 0)[0, 0] == 0
    assert pointing(spot(6, 4), REGION, 1)[0, 0] == 0
    assert pointing(spot(6, 4), REGION, 2)[0, 0] == 1
    assert pointing(spot(6, 7), REGION, 2)[0, 0] == 1


def test_the_tolerance_does_not_reach_into_the_next_image():
    regions = np.concatenate([REGION, np.roll(REGION, 5, axis=2)])
    stack = np.stack([spot(3, 4)[0, 0], spot(3, 4)[0, 0]])[None]
    assert pointing(stack, regions, 1).tolist() == [[1, 0]]


def test_a_flat_map_hits_by_chance():
    assert pointing(np.zeros((1, 1, 10, 10)), REGION, 0)[0, 0] == pytest.approx(0.09)


def test_energy_is_the_positive_share_inside():
    maps = spot(3, 4) + 3 * spot(8, 8) - 5 * spot(0, 0)
    assert energy(maps, REGION)[0, 0] == 0.25
    assert energy(-np.ones((1, 1, 10, 10)), REGION)[0, 0] == 0


def test_boxes_are_masks():
    np.testing.assert_array_equal(as_regions([[2, 3, 5, 6]], 1, (10, 10)), REGION)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (np.zeros((1, 10, 10), bool), "region of image 0 is empty"),
        ([[5, 5, 5, 9]], "region of image 0 is empty"),
        (np.ones((1, 5, 5), bool), r"expected masks \(1, 10, 10\) or boxes"),
        (np.ones((2, 10, 10), bool), r"regions of shape \(2, 10, 10\)"),
    ],
)
def test_bad_regions(regions, message):
    with pytest.raises(OpsinError, match=message):
        as_regions(regions, 1, (10, 10))


class Colours(nn.Module):
    """The score of a class is the mean of one of four channels, so that it takes an input of any size."""

    def forward(self, x):
        return 20 * x.mean(dim=(2, 3))


class FixedColours(Colours):
    """The same, of 12 x 12 pixels only."""

    def forward(self, x):
        if x.shape[-1] != 12:
            raise RuntimeError("12 x 12 only")
        return super().forward(x)


def coloured(count):
    x = torch.zeros(count, 4, 12, 12)
    labels = torch.arange(count) % 4
    x[torch.arange(count), labels] = 1
    x[0] = 0  # not recognised
    return x, labels


@pytest.mark.parametrize(("network", "size", "halved"), [(Colours, 24, False), (FixedColours, 12, True)])
def test_mosaics_show_four_recognised_classes(network, size, halved):
    model = Classifier(network(), ("a", "b", "c", "d"))
    mosaics = build_mosaics(model, coloured(20)[0], seed=0)
    assert mosaics.halved == halved
    assert mosaics.inputs.shape == (4, 4, size, size)
    for inputs, targets in zip(mosaics.inputs, mosaics.targets, strict=True):
        assert sorted(targets) == [0, 1, 2, 3]
        for cell, target in zip(mosaics.cells(), targets, strict=True):
            assert inputs[target][torch.from_numpy(cell)].min() == 1
            assert inputs[target][torch.from_numpy(~cell)].max() == 0
    another = build_mosaics(model, coloured(20)[0], seed=1)
    assert not np.array_equal(another.targets, mosaics.targets)


def test_no_image_is_used_twice():
    model = Classifier(Colours(), ("a", "b", "c", "d"))
    inputs = coloured(20)[0] * torch.linspace(0.9, 1, 20)[:, None, None, None]
    mosaics = build_mosaics(model, inputs, seed=0)
    assert len(mosaics.inputs.amax(dim=1).unique()) == 16


def test_too_few_classes_is_said():
    model = Classifier(Colours(), ("a", "b", "c", "d"))
    inputs = coloured(20)[0][[1, 2, 5, 6]]
    with pytest.raises(OpsinError, match=r"needs images of 4 classes .* there are 2"):
        build_mosaics(model, inputs, seed=0)


def test_a_map_of_the_right_cell_has_all_its_energy_there():
    mosaics = Mosaics(torch.zeros(3, 1, 8, 8), np.tile(np.arange(4), (3, 1)), False)
    right = np.broadcast_to(mosaics.cells().astype(np.float32), (3, 4, 8, 8))
    flat = np.ones((3, 4, 8, 8), np.float32)
    for maps, expected in ((right, 1.0), (flat, 0.25)):
        found = grid_pointing(mosaics, lambda _, maps=maps: maps.copy(), lambda maps: maps[None])
        np.testing.assert_allclose(found, expected)
        assert found.shape == (1, 12)


@pytest.mark.filterwarnings("ignore::opsin.explanation.guards.SaturatedMapWarning")
def test_the_game_on_a_network_is_won_by_its_gradient():
    """The score is a mean over places: input x gradient lies exactly in the cell of its class."""
    model = Classifier(Colours(), ("a", "b", "c", "d"))
    why = opsin.explain(model, coloured(20)[0][1:], "input_x_gradient")
    proof = opsin.check(why, model, measures=["grid_pointing"])
    assert not proof.skipped
    found = proof.measures["grid_pointing"]
    np.testing.assert_allclose(found.values, 1)
    assert found.protocol["mosaics"] == 4
    assert not found.protocol["images_halved"]
    assert found.controls["random"].mean == pytest.approx(0.25, abs=0.1)
    assert found.controls["random"].p_value < 0.001
