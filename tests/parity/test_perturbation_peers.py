"""Perturbation methods against captum, pytorch-grad-cam and torchcam. Their conventions live here, never in Opsin.

Where a convention sits inside the algorithm, the slow twin has a switch for it: the twin in their convention equals the
peer, the twin in ours equals Opsin.
"""

from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
import torch
import torch.nn.functional as F
import torchcam.methods
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import opsin
from opsin.explanation.explain import explain
from opsin.explanation.job import Job
from opsin.explanation.layers import find_layers
from opsin.explanation.perturbation import ablation_cam
from opsin.explanation.split import split_pass
from opsin.explanation.targets import Targets

CLOSE = 1e-4
SIZE = 32
pytestmark = pytest.mark.filterwarnings(
    "ignore:Setting forward, backward hooks", "ignore::opsin.explanation.guards.MapWarning"
)
# Layers of few channels behind a ReLU: there the peer too ablates by setting to zero.
NETWORKS = {
    "efficientnet_lite0": "blocks.0.0.bn1",
    "torchvision/resnet18": "layer1",
    "timm/mobilenetv3_small_050": "blocks.0.0.bn1",
    "timm/regnety_002": "s1",
    "torchvision/mnasnet0_5": "layers.2",
    "torchvision/shufflenet_v2_x0_5": "conv1",
    "torchvision/squeezenet1_1": "features.3.squeeze_activation",
}


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda name: name.split("/")[-1])
def case(request):
    """A network, its layer, two smooth images, and a class for each."""
    name = request.param
    pretrained = name == "efficientnet_lite0"
    model = opsin.build_model(name, classes=None if pretrained else 10, size=SIZE, pretrained=pretrained, seed=0)
    model.module.eval()
    coarse = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(1))
    images = F.interpolate(coarse, size=SIZE, mode="bicubic", align_corners=False) * 1.5
    if not pretrained:
        # random weights through many layers give scores that hardly differ, and a softmax over them weights all alike
        last = [part for part in model.module.modules() if isinstance(part, torch.nn.Linear | torch.nn.Conv2d)][-1]
        with torch.no_grad():
            last.weight.mul_(8 / model.logits(images).std())
    return model, NETWORKS[name], images, [3, 7]


def test_occlusion_equals_captum_where_windows_fill_the_picture(case):
    model, _, images, classes = case
    ours = explain(model, images, "occlusion", target=classes, window=12, stride=10, engine="eager").maps
    theirs = captum.attr.Occlusion(model.module).attribute(
        images,
        target=classes,
        sliding_window_shapes=(3, 12, 12),
        strides=(3, 10, 10),
        baselines=0,
        perturbations_per_eval=9,
    )
    theirs = theirs[:, 0].detach().numpy()  # one value for all channels of a place
    np.testing.assert_allclose(ours, theirs, atol=CLOSE * np.abs(theirs).max())


def occlusion_twin(model, image, target, window, stride, *, moved_back: bool) -> np.ndarray:
    """Ours moves the last window of a row or column back into the picture; captum cuts it off at the border."""
    side = image.shape[-1]
    last = side - window
    starts = list(range(0, last + 1, stride))
    if starts[-1] != last:
        starts.append(last if moved_back else starts[-1] + stride)
    base = model.logits(image[None])[0, target]
    drops, count = torch.zeros(side, side), torch.zeros(side, side)
    for top in starts:
        for left in starts:
            place = (slice(top, top + window), slice(left, left + window))
            covered = image.clone()
            covered[(slice(None), *place)] = 0
            drops[place] += base - model.logits(covered[None])[0, target]
            count[place] += 1
    return (drops / count).numpy()


def test_occlusion_at_the_border_is_a_convention():
    model = opsin.build_model("torchvision/squeezenet1_1", classes=10, size=SIZE, seed=0)
    model.module.eval()
    image = torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    ours = explain(model, image, "occlusion", target=3, window=12, stride=9, engine="eager").maps[0]
    theirs = (
        captum.attr.Occlusion(model.module)
        .attribute(image[None], target=3, sliding_window_shapes=(3, 12, 12), strides=(3, 9, 9), baselines=0)[0, 0]
        .detach()
        .numpy()
    )
    scale = np.abs(theirs).max()
    assert np.abs(ours - theirs).max() > 100 * CLOSE * scale
    for found, moved_back in ((ours, True), (theirs, False)):
        twin = occlusion_twin(model, image, 3, 12, 9, moved_back=moved_back)
        np.testing.assert_allclose(found, twin, atol=CLOSE * scale)


def activations(model, layer, images) -> torch.Tensor:
    return find_layers(model, images, layer)[0].grid.maps(split_pass(model, images, [layer]).outputs[layer].detach())


def score_cam_twin(model, layer, images, classes, convention) -> np.ndarray:
    """`(n, h, w)` at the layer's resolution, after the ReLU; image by image and channel by channel.

    ours: enlarge with half-pixel centres, then scale to 0..1. grad-cam: the same with corners aligned. torchcam: scale
    at the layer's resolution, then enlarge with half-pixel centres. Both add 1e-8 to the spread.
    """
    maps = []
    for image, target, channels in zip(images, classes, activations(model, layer, images), strict=True):
        scores = []
        for channel in channels:
            mask = channel[None, None]
            if convention == "torchcam":
                mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-8)
            mask = F.interpolate(mask, size=SIZE, mode="bilinear", align_corners=convention == "grad-cam")[0]
            if convention in ("ours", "grad-cam"):
                spread = mask.max() - mask.min() + (1e-8 if convention == "grad-cam" else 0)
                mask = torch.zeros_like(mask) if spread == 0 else (mask - mask.min()) / spread
            scores.append(image * mask)
        weights = model.logits(torch.stack(scores), batch_size=64)[:, target].softmax(0)
        maps.append(torch.einsum("c,chw->hw", weights, channels).clamp(min=0))
    return torch.stack(maps).numpy()


def scaled(maps: np.ndarray) -> np.ndarray:
    """As pytorch-grad-cam does: each map scaled, enlarged by OpenCV, and scaled again."""
    return scale_cam_image(scale_cam_image(maps, (SIZE, SIZE)))


def unit(maps: np.ndarray) -> np.ndarray:
    maps = maps - maps.min(axis=(1, 2), keepdims=True)
    return maps / (maps.max(axis=(1, 2), keepdims=True) + 1e-8)


def enlarged(maps: np.ndarray) -> np.ndarray:
    return F.interpolate(torch.from_numpy(maps)[:, None], size=SIZE, mode="bilinear", align_corners=False)[:, 0].numpy()


def test_score_cam_equals_the_peers_in_their_conventions_and_the_twin_in_ours(case):
    model, layer, images, classes = case[0], case[1], case[2][:1], case[3][:1]
    module = dict(model.module.named_modules())[layer]
    targets = [ClassifierOutputTarget(index) for index in classes]
    with pytorch_grad_cam.ScoreCAM(model=model.module, target_layers=[module]) as peer:
        peer.batch_size = 64
        theirs = peer(images.clone(), targets)
    np.testing.assert_allclose(scaled(score_cam_twin(model, layer, images, classes, "grad-cam")), theirs, atol=CLOSE)
    with torchcam.methods.ScoreCAM(model.module, target_layer=layer, batch_size=64) as extractor, torch.no_grad():
        scores = model.module(images)
        theirs = extractor(classes, scores)[0].numpy()
    np.testing.assert_allclose(unit(score_cam_twin(model, layer, images, classes, "torchcam")), theirs, atol=CLOSE)
    ours = explain(model, images, "score_cam", target=classes, layer=layer, engine="eager").maps
    twin = enlarged(score_cam_twin(model, layer, images, classes, "ours"))
    np.testing.assert_allclose(unit(ours), unit(twin), atol=CLOSE)


def both_ablations(model, layer, images, classes, monkeypatch) -> tuple[np.ndarray, np.ndarray]:
    """Ours at the layer's resolution, signed, and the peer's map."""
    monkeypatch.setattr(ablation_cam, "enlarge", lambda maps, _: maps)
    targets = Targets(torch.tensor(classes)[:, None])
    job = Job(model, images, lambda _: targets, find_layers(model, images, layer))
    ours = ablation_cam.ablation_cam(job, relu=False).maps[0][:, 0].numpy()
    module = dict(model.module.named_modules())[layer]
    with pytorch_grad_cam.AblationCAM(model=model.module, target_layers=[module]) as peer:
        theirs = peer(images.clone(), [ClassifierOutputTarget(index) for index in classes])
    return ours, theirs


def test_ablation_cam_equals_pytorch_grad_cam_for_positive_scores(case, monkeypatch):
    model, layer, images, _ = case
    logits = model.logits(images)
    assert float(logits.amax(dim=1).min()) > 0
    ours, theirs = both_ablations(model, layer, images, logits.argmax(dim=1).tolist(), monkeypatch)
    np.testing.assert_allclose(scaled(np.maximum(ours, 0)), theirs, atol=CLOSE)


def test_ablation_cam_of_a_negative_score_is_turned_around_by_the_peer(monkeypatch):
    """It divides by the score itself, so that what speaks for the class speaks against it."""
    model = opsin.build_model("timm/resnet18", classes=10, size=SIZE, seed=0)
    model.module.eval()
    with torch.no_grad():
        model.module.fc.bias.fill_(-5.0)
    images = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    assert float(model.logits(images)[0, 3]) < 0
    ours, theirs = both_ablations(model, "layer1", images, [3], monkeypatch)
    np.testing.assert_allclose(scaled(np.maximum(-ours, 0)), theirs, atol=CLOSE)
    assert np.abs(scaled(np.maximum(ours, 0)) - theirs).max() > 100 * CLOSE


@pytest.mark.parametrize("case", ["efficientnet_lite0"], indirect=True)
def test_a_planted_fault_would_be_seen(case):
    """Score-CAM without its scaling of the masks, and occlusion with its sign turned around, are far from right.

    Shown on trained weights. On random ones the scaling can matter little: ShuffleNet's map moves by 1.5e-4 only, so
    that there parity says little about it.
    """
    model, layer, images, classes = case
    right, wrong = (score_cam_twin(model, layer, images, classes, how) for how in ("ours", "masks as they are"))
    assert np.abs(unit(right) - unit(wrong)).max() > 10 * CLOSE
    ours = explain(model, images, "occlusion", target=classes, window=16, stride=16).maps
    assert np.abs(unit(-ours) - unit(ours)).max() > 100 * CLOSE
