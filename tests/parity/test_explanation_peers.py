"""Maps against the best-known libraries, on real and on random weights. Their conventions live here, never in Opsin."""

from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import opsin
from opsin.explanation.cam import weighting
from opsin.explanation.explain import explain
from opsin.explanation.layers import find_layers
from opsin.explanation.split import split_pass
from opsin.explanation.targets import Targets

CLOSE = 1e-4
pytestmark = pytest.mark.filterwarnings("ignore:Setting forward, backward hooks", "ignore:Setting backward hooks")
NETWORKS = {
    "efficientnet_lite0": ("bn2", 64),
    "timm/resnet18": ("layer4", 64),
    "torchvision/resnet18": ("layer4", 64),
    "torchvision/vgg11": ("features.18", 64),
    "timm/mobilenetv3_small_050": ("blocks.4.1", 64),
    "torchvision/shufflenet_v2_x0_5": ("conv5", 64),
    "timm/regnety_002": ("s4", 64),
}
PEERS = {
    "grad_cam": pytorch_grad_cam.GradCAM,
    "hires_cam": pytorch_grad_cam.HiResCAM,
    "layer_cam": pytorch_grad_cam.LayerCAM,
    "xgrad_cam": pytorch_grad_cam.XGradCAM,
    "grad_cam_pp": pytorch_grad_cam.GradCAMPlusPlus,
}


def plus_plus_twin(activations: torch.Tensor, gradients: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Grad-CAM++ channel by channel from its equations; pytorch-grad-cam adds 1e-6 to the denominator."""
    maps = torch.zeros_like(activations[:, 0])
    for n in range(len(maps)):
        for channel in range(activations.shape[1]):
            a, g = activations[n, channel], gradients[n, channel]
            bottom = 2 * g**2 + a.sum() * g**3 + epsilon
            alpha = torch.where(bottom == 0, torch.zeros_like(g), g**2 / torch.where(bottom == 0, 1.0, bottom))
            maps[n] += (alpha * g.clamp(min=0)).sum() * a
    return maps


def xgrad_twin(activations: torch.Tensor, gradients: torch.Tensor, epsilon: float) -> torch.Tensor:
    """XGrad-CAM channel by channel; pytorch-grad-cam adds 1e-7 to the denominator."""
    maps = torch.zeros_like(activations[:, 0])
    for n in range(len(maps)):
        for channel in range(activations.shape[1]):
            a, g = activations[n, channel], gradients[n, channel]
            bottom = a.sum() + epsilon
            maps[n] += 0 if bottom == 0 else (a * g).sum() / bottom * a
    return maps


FORMULAS = {
    "grad_cam": weighting.grad_cam,
    "hires_cam": weighting.hires_cam,
    "layer_cam": weighting.layer_cam,
    # the peer's convention sits inside the algorithm: the twin with it equals the peer, and without it equals ours
    "xgrad_cam": lambda a, g: xgrad_twin(a, g, 1e-7),
    "grad_cam_pp": lambda a, g: plus_plus_twin(a, g, 1e-6),
}


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda name: name.split("/")[-1])
def case(request):
    """A network, its layer, two smooth images, and a class for each."""
    name = request.param
    layer, size = NETWORKS[name]
    pretrained = name == "efficientnet_lite0"
    model = opsin.build_model(name, classes=None if pretrained else 10, size=size, pretrained=pretrained, seed=0)
    model.module.eval()
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(2, 3, 9, 9, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
    return model, layer, images, [3, 7]


def raw_maps(model, layer, images, classes, formula) -> np.ndarray:
    """Our signed map at the layer's own resolution `(n, h, w)`."""
    split = split_pass(model, images, [layer])
    grid = find_layers(model, images, layer)[0].grid
    targets = Targets(torch.tensor(classes)[:, None])
    activations = grid.maps(split.outputs[layer].detach())
    return formula(activations, grid.maps(split.gradients(layer, targets)[0])).numpy()


@pytest.mark.parametrize("method", PEERS)
def test_cams_equal_pytorch_grad_cam(case, method):
    model, layer, images, classes = case
    module = dict(model.module.named_modules())[layer]
    ours = scale_cam_image(
        np.maximum(raw_maps(model, layer, images, classes, FORMULAS[method]), 0), images.shape[:1:-1]
    )
    ours = scale_cam_image(ours)
    with PEERS[method](model=model.module, target_layers=[module]) as peer:
        theirs = peer(images.clone(), [ClassifierOutputTarget(index) for index in classes])
    np.testing.assert_allclose(ours, theirs, atol=CLOSE)


@pytest.mark.parametrize(("ours", "twin"), [(weighting.grad_cam_pp, plus_plus_twin), (weighting.xgrad_cam, xgrad_twin)])
def test_ours_equal_the_twins_without_the_peers_convention(case, ours, twin):
    model, layer, images, classes = case
    expected = raw_maps(model, layer, images, classes, lambda a, g: twin(a, g, 0.0))
    found = raw_maps(model, layer, images, classes, ours)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=CLOSE)


@pytest.mark.parametrize(
    ("method", "peer"), [("grad_cam", torchcam.methods.GradCAM), ("layer_cam", torchcam.methods.LayerCAM)]
)
def test_cams_equal_torchcam(case, method, peer):
    model, layer, images, classes = case
    ours = np.maximum(raw_maps(model, layer, images, classes, FORMULAS[method]), 0)
    ours -= ours.min(axis=(1, 2), keepdims=True)
    ours /= ours.max(axis=(1, 2), keepdims=True) + 1e-8
    with peer(model.module, target_layer=layer) as extractor:
        scores = model.module(images.clone().requires_grad_())
        theirs = extractor(classes, scores)[0].detach().numpy()
    np.testing.assert_allclose(ours, theirs, atol=CLOSE)


def test_saliency_equals_captum(case):
    model, _, images, classes = case
    ours = explain(model, images, "saliency", target=classes).maps
    theirs = captum.attr.Saliency(model.module).attribute(images.clone().requires_grad_(), target=classes, abs=True)
    scale = float(theirs.abs().max())
    np.testing.assert_allclose(ours / scale, theirs.amax(dim=1).detach().numpy() / scale, atol=CLOSE)


def test_integrated_gradients_equal_captum(case):
    model, _, images, classes = case
    ours = explain(model, images, "integrated_gradients", target=classes, steps=16)
    theirs, gap = captum.attr.IntegratedGradients(model.module).attribute(
        images.clone().requires_grad_(),
        target=classes,
        n_steps=16,
        method="gausslegendre",
        return_convergence_delta=True,
    )
    scale = np.abs(ours.maps).max()
    np.testing.assert_allclose(ours.maps / scale, theirs.sum(dim=1).detach().numpy() / scale, atol=CLOSE)
    np.testing.assert_allclose(ours.completeness, gap.numpy(), atol=CLOSE * max(1, np.abs(gap.numpy()).max()))


def test_guided_backprop_equals_captum_where_all_is_relu():
    model = opsin.build_model("torchvision/vgg11", classes=10, size=64, seed=0)
    model.module.eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    ours = explain(model, images, "guided_backprop", target=[3, 7]).maps
    theirs = (
        captum.attr.GuidedBackprop(model.module).attribute(images.clone().requires_grad_(), target=[3, 7]).sum(dim=1)
    )
    scale = np.abs(ours).max()
    np.testing.assert_allclose(ours / scale, theirs.detach().numpy() / scale, atol=CLOSE)


def test_on_relu6_the_peer_is_the_plain_gradient_and_ours_is_not():
    """ReLU6 is no nn.ReLU, so that captum's guided backpropagation silently is the gradient on MobileNetV2."""
    model = opsin.build_model("torchvision/mobilenet_v2", classes=10, size=64, seed=0)
    model.module.eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    guided = captum.attr.GuidedBackprop(model.module).attribute(images.clone().requires_grad_(), target=3)
    plain = captum.attr.Saliency(model.module).attribute(images.clone().requires_grad_(), target=3, abs=False)
    torch.testing.assert_close(guided, plain)
    ours = explain(model, images, "guided_backprop", target=3).maps
    assert np.corrcoef(ours.ravel(), plain.sum(dim=1).detach().numpy().ravel())[0, 1] < 0.9


def test_a_wrong_sign_or_a_missing_relu_would_be_seen(case):
    """The planted faults."""
    model, layer, images, classes = case
    raw = raw_maps(model, layer, images, classes, weighting.grad_cam)
    right = scale_cam_image(np.maximum(raw, 0))
    for wrong in (scale_cam_image(np.maximum(-raw, 0)), scale_cam_image(raw)):
        assert np.abs(wrong - right).max() > 100 * CLOSE
