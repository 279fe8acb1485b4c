"""What is recommended for which network, and that it keeps its promise on photographs that did not choose it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.evidence.localisation import Mosaics, energy
from opsin.explanation.methods import METHODS
from opsin.explanation.recommend import ADVICE, BLACK_BOX, recommend
from opsin.models.black_box import BlackBox

VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3}


@pytest.mark.parametrize(
    ("name", "size", "options", "method", "layer"),
    [
        ("lenet5", 28, {}, "integrated_gradients", None),
        ("vit_small", 32, {}, "integrated_gradients", None),
        ("resnet_small", 96, {}, "softmax_cam", "stages"),
        ("efficientnet_lite0", 96, {}, "softmax_cam", "bn2"),
        ("timm/vit_tiny_patch16_224", 96, VIT, "grad_attention_rollout", None),
        ("torchvision/mobilenet_v3_small", 96, {}, "hires_cam", "features"),
    ],
)
def test_by_architecture(name, size, options, method, layer):
    model = opsin.build_model(name, classes=4, size=size, options=options, seed=0)
    before = [part.training for part in model.module.modules()]
    found = recommend(model)
    assert (found.method, found.layer, found.options) == (method, layer, {})
    assert found.reason
    assert [part.training for part in model.module.modules()] == before


def test_networks_without_places_gradients_or_insides():
    torch.manual_seed(0)
    flat = opsin.Classifier(nn.Sequential(nn.Flatten(), nn.Linear(3 * 96 * 96, 3)), classes=list("abc"))
    assert recommend(flat, torch.randn(2, 3, 96, 96)).method == "integrated_gradients"

    class Detached(nn.Module):
        def forward(self, x):
            return x.mean(dim=(-2, -1)).detach()

    assert recommend(opsin.Classifier(Detached()), torch.randn(1, 3, 96, 96)).method == BLACK_BOX.method
    assert recommend(BlackBox(lambda images: images.mean(axis=(2, 3)))).method == BLACK_BOX.method


def test_a_network_that_does_not_say_its_size_needs_an_input():
    model = opsin.Classifier(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with pytest.raises(OpsinError, match=r"does not say which size its input has; .*recommend\(model, inputs\)"):
        recommend(model)
    with pytest.raises(OpsinError, match="cannot take an input of shape"):
        recommend(model, torch.randn(1, 1, 96, 96))


def test_what_is_recommended_exists_and_can_be_called_by_its_name():
    for advice in (*ADVICE, BLACK_BOX):
        assert advice.method in METHODS
        assert advice.kind
        assert advice.reason
    assert METHODS[BLACK_BOX.method].black_box


def test_on_mosaics_of_photographs_nine_tenths_of_the_map_lie_on_the_right_one():
    """Grid pointing game (Boehle et al. 2021) on scikit-image's photographs, which took no part in the choice: all five
    mosaics of four of the five that show a class of ImageNet, the map of each photograph's predicted class."""
    model = opsin.build_model("efficientnet_lite0", pretrained=True)
    best = recommend(model)
    names = ("chelsea", "coffee", "camera", "rocket")
    photographs = [getattr(skimage.data, name)() for name in names] + [skimage.data.stereo_motorcycle()[0]]
    inputs, _, _ = model.inputs([Image.fromarray(pixels).convert("RGB") for pixels in photographs])
    predicted = model.logits(inputs).argmax(dim=1).numpy()
    chosen = np.array(list(itertools.combinations(range(5), 4)))
    cells = [inputs[torch.from_numpy(chosen[:, at])] for at in range(4)]
    tiled = torch.cat([torch.cat(cells[:2], dim=3), torch.cat(cells[2:], dim=3)], dim=2)
    mosaics = Mosaics(tiled, predicted[chosen], halved=False)

    def shares(method: str) -> np.ndarray:
        found = opsin.explain(model, mosaics.inputs, method, mosaics.targets)
        maps = np.stack([one.maps for one in found], axis=1)
        return np.stack([energy(maps[None, :, at], cell)[0] for at, cell in enumerate(mosaics.cells())])

    assert shares(best.method).mean() >= 0.95
    assert shares(best.method).min() >= 0.90
    assert 0.70 <= shares("grad_cam").mean() <= 0.85
    torch.manual_seed(0)
    untrained = opsin.build_model("efficientnet_lite0", classes=1000, size=224, seed=0)
    model.module.load_state_dict(untrained.module.state_dict())
    assert abs(shares(best.method).mean() - 0.25) < 0.1
