"""What `explain` says beside the maps: where the input lies in the original, and how likely the target is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import opsin
from opsin.data.preprocess import Preprocess

# what is not red gives the red finder nothing to show
pytestmark = pytest.mark.filterwarnings("ignore::opsin.explanation.guards.MapWarning")

FITS = [
    Preprocess(height=32, width=32, crop=0.8, mean=(0.5,) * 3, std=(0.5,) * 3),
    Preprocess(height=32, width=48, fit="pad", mean=(0.5,) * 3, std=(0.5,) * 3),
    Preprocess(height=40, width=24, fit="stretch", mean=(0.5,) * 3, std=(0.5,) * 3),
]


class RedFinder(nn.Module):
    """Its first score grows with every pixel that is red and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.redness = nn.Conv2d(3, 1, 1)
        with torch.no_grad():
            self.redness.weight.copy_(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1))
            self.redness.bias.fill_(-2.0)

    def forward(self, images):
        found = self.redness(images).relu().mean(dim=(1, 2, 3))
        return torch.stack([found, -found, torch.zeros_like(found)], dim=1)


def red_finder(preprocess: Preprocess) -> opsin.Classifier:
    return opsin.Classifier(RedFinder().eval(), ("red", "none", "other"), preprocess)


@pytest.mark.parametrize("preprocess", FITS, ids=lambda one: one.fit)
@pytest.mark.parametrize("size", [(200, 300), (330, 170)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_red_thing_is_found_at_its_place_in_the_original(preprocess, size, orientation, tmp_path):
    upright = np.random.default_rng(0).integers(60, 120, (*size, 1), np.uint8).repeat(3, axis=2)
    thing = np.zeros(size, bool)
    thing[round(0.4 * size[0]) : round(0.6 * size[0]), round(0.45 * size[1]) : round(0.65 * size[1])] = True
    upright[thing] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.rot90(upright) if orientation == 6 else upright
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "red.png", exif=exif)
    why = opsin.explain(red_finder(preprocess), [tmp_path / "red.png"], target="red", layer="redness")
    assert isinstance(why, opsin.Explanation)
    assert why.geometry is not None
    assert why.geometry.tolist() == [list(preprocess.geometry(size))]
    drawn = np.asarray(why.overlay(original=tmp_path / "red.png")).astype(int)
    assert drawn.shape == upright.shape
    changed = np.abs(drawn - upright).max(axis=2) > 0
    # the map is as coarse as the input: what changed is the thing, to within two of the input's pixels
    places, expected = np.argwhere(changed), np.argwhere(thing)
    coarse = 2 * max(size[0] / preprocess.height, size[1] / preprocess.width) / min(preprocess.crop, 1)
    assert np.abs(places.min(axis=0) - expected.min(axis=0)).max() <= coarse
    assert np.abs(places.max(axis=0) - expected.max(axis=0)).max() <= coarse
    assert changed[thing].mean() > 0.95


def test_one_box_per_picture_and_none_for_tensors():
    model = red_finder(FITS[0])
    pictures = [np.zeros((50, 80, 3), np.uint8), Image.new("RGB", (90, 40), (250, 0, 0))]
    why = opsin.explain(model, pictures, "saliency", target=0)
    assert isinstance(why, opsin.Explanation)
    assert why.geometry is not None
    assert why.geometry.tolist() == [list(FITS[0].geometry(size)) for size in ((50, 80), (40, 90))]
    tensor = opsin.explain(model, torch.rand(2, 3, 32, 32), "saliency", target=0)
    assert isinstance(tensor, opsin.Explanation)
    assert tensor.geometry is None


@pytest.mark.parametrize("method", ["grad_cam", "saliency", "smooth_grad", "occlusion"])
@pytest.mark.parametrize("target", [None, 1, [0, 2, 1, 0, 2], ("red", "none")])
def test_the_probability_of_the_target_is_kept(method, target):
    model = red_finder(FITS[0])
    inputs = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 6 - torch.tensor([0, 4, 4]).view(
        3, 1, 1
    )
    options = {"of": "input_x_gradient", "samples": 2} if method == "smooth_grad" else {}
    layer = "redness" if method == "grad_cam" else None
    why = opsin.explain(model, inputs, method, target, layer, batch_size=2, **options)
    assert isinstance(why, opsin.Explanation)
    expected = model.logits(inputs).softmax(dim=1)[torch.arange(5), torch.from_numpy(why.targets)]
    assert why.probabilities is not None
    assert why.probabilities.dtype == np.float32
    assert np.allclose(why.probabilities, expected, atol=1e-5)


def test_every_class_has_its_own_probability():
    model = red_finder(FITS[0])
    found = opsin.explain(model, torch.rand(3, 3, 32, 32), "saliency", "all")
    assert isinstance(found, list)
    assert np.allclose(sum(item.probabilities for item in found), 1, atol=1e-6)


def test_scores_that_are_probabilities_are_taken_as_they_are():
    shares = np.array([0.7, 0.2, 0.1], np.float32)

    def scores(images):
        return np.tile(shares, (len(images), 1))

    why = opsin.explain(scores, torch.rand(2, 1, 6, 6), "occlusion", 1, window=3)
    assert isinstance(why, opsin.Explanation)
    assert why.probabilities is not None
    assert np.allclose(why.probabilities, 0.2)


def test_places_and_probabilities_survive_a_file(tmp_path):
    why = opsin.explain(red_finder(FITS[0]), [np.zeros((50, 80, 3), np.uint8)], "saliency", target=0)
    assert isinstance(why, opsin.Explanation)
    why.save(tmp_path / "why.safetensors")
    kept = opsin.Explanation.load(tmp_path / "why.safetensors")
    assert np.array_equal(kept.geometry, why.geometry)
    assert np.array_equal(kept.probabilities, why.probabilities)
