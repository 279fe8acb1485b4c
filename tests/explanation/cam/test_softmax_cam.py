"""The head at every place: against a network that is run on each place alone, and where plain CAM is wrong."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.explain import explain


class Pooled(nn.Module):
    """Patches of 4 pixels that see nothing of each other, so that a place can be run alone."""

    def __init__(self, bias=True):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.ReLU())
        self.fc = nn.Linear(6, 5, bias=bias)

    def forward(self, x):
        return self.fc(self.trunk(x).mean(dim=(-2, -1)))


@pytest.fixture(params=[True, False], ids=["bias", "no bias"])
def model(request):
    torch.manual_seed(0)
    return opsin.Classifier(Pooled(request.param), classes=list("abcde"))


def places_alone(model, image) -> torch.Tensor:
    """`(4, 4, classes)`: the network's own logits of a picture that shows one place only."""
    with torch.no_grad():
        return torch.stack(
            [
                torch.stack(
                    [
                        model.module(image[:, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].repeat(1, 4, 4)[None])[0]
                        for x in range(4)
                    ]
                )
                for y in range(4)
            ]
        )


def enlarged(maps) -> np.ndarray:
    return F.interpolate(maps[None, None], size=(16, 16), mode="bilinear", align_corners=False)[0, 0].numpy()


def test_every_place_has_the_probability_that_the_network_gives_it_alone(model):
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    targets = [2, 0, 4]
    found = explain(model, images, "softmax_cam", target=targets)
    assert found.layer == "trunk"
    for image, target, own in zip(images, targets, found.maps, strict=True):
        expected = enlarged(places_alone(model, image).softmax(dim=-1)[..., target])
        np.testing.assert_allclose(own, expected, atol=1e-6)
        logit = enlarged(places_alone(model, image)[..., target].sigmoid())
        assert np.abs(own - logit).max() > 0.01  # the planted fault: one class without the others


def test_against_another_class_it_is_the_first_of_the_two(model):
    image = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = explain(model, image, "softmax_cam", target=("b", "d"))
    alone = places_alone(model, image[0])[..., [1, 3]]
    np.testing.assert_allclose(found.maps[0], enlarged(alone.softmax(dim=-1)[..., 0]), atol=1e-6)


def test_the_probabilities_of_all_classes_add_up_to_one(model):
    found = explain(model, torch.randn(2, 3, 16, 16), "softmax_cam", target="all")
    np.testing.assert_allclose(np.sum([one.maps for one in found], axis=0), 1, atol=1e-6)


def test_a_head_that_is_not_pooled_is_refused():
    module = opsin.build_model("lenet5", classes=3, channels=1, size=28, seed=0)
    with pytest.raises(OpsinError, match=r"^softmax_cam needs a network that averages the last maps"):
        explain(module, torch.randn(1, 1, 28, 28), "softmax_cam")
