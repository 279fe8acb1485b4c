"""Maps of the NumPy engine beside those of opsin.explain on the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import opsin
from opsin.scratch.explaining import enlarged, feature_maps, grad_cam, saliency
from opsin.scratch.networks import LeNet5, SeedCNN


@pytest.fixture(scope="module", params=["lenet5", "seed_cnn"])
def pair(request, digits):
    """A network of both engines with the same weights, and real digits as it takes them."""
    model = opsin.build_model(request.param, classes=digits.classes, channels=1, size=28, seed=1)
    network = {"lenet5": LeNet5, "seed_cnn": SeedCNN}[request.param]()
    network.load_state_dict({name: value.numpy() for name, value in model.module.state_dict().items()})
    images = model.preprocess.normalise(digits.test.pixels(model.preprocess)[:6])
    # in a flat background all places of a pool are equal but for rounding, which decides where its gradient goes
    return model, network, images + 0.05 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", ["conv1", "conv2", "pool2"])
def test_grad_cam_is_that_of_explain(pair, layer):
    model, network, images = pair
    expected = opsin.explain(model, images, "grad_cam", layer=layer).maps
    ours = enlarged(grad_cam(network, images.numpy(), layer), (28, 28))
    np.testing.assert_allclose(ours, expected, atol=1e-5 * max(np.abs(expected).max(), 1e-3))


def test_saliency_is_that_of_explain(pair):
    model, network, images = pair
    classes = [0, 1, 2, 3, 4, 5]
    expected = opsin.explain(model, images, "saliency", target=classes).maps
    ours = saliency(network, images.numpy(), np.array(classes))
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


def test_feature_maps_are_those_of_the_modules(pair):
    model, network, images = pair
    found = feature_maps(network, images.numpy())
    seen = {}
    handles = [
        part.register_forward_hook(lambda _m, _i, output, name=name: seen.update({name: output.detach().numpy()}))
        for name, part in model.module.named_children()
    ]
    with torch.no_grad():
        model.module.eval()(images)
    for handle in handles:
        handle.remove()
    assert set(seen) <= set(found)
    for name, values in seen.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_the_mode_comes_back():
    network = SeedCNN(dropout=0.5)
    grad_cam(network, np.zeros((1, 1, 28, 28), np.float32), "conv2")
    assert all(layer.training for _, layer in network.layers())
    with pytest.raises(ValueError, match="no places"):
        grad_cam(network, np.zeros((1, 1, 28, 28), np.float32), "fc1")
    assert all(layer.training for _, layer in network.layers())
    with pytest.raises(ValueError, match="expected one of conv1"):
        grad_cam(network, np.zeros((1, 1, 28, 28), np.float32), "nope")


@pytest.mark.parametrize("size", [(28, 28), (5, 9), (3, 3)])
def test_enlarging_is_that_of_pytorch(size):
    maps = np.random.default_rng(0).normal(size=(2, 5, 7))
    expected = torch.nn.functional.interpolate(torch.from_numpy(maps)[:, None], size, mode="bilinear")[:, 0].numpy()
    if size > (5, 7):
        np.testing.assert_allclose(enlarged(maps, size), expected, atol=1e-12)
    else:
        assert enlarged(maps, size).shape == expected.shape
