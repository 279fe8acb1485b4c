"""SmoothGrad against captum's NoiseTunnel and LIME against captum's LimeBase, on the same draws."""

from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnRidge

import opsin
from opsin.explanation.explain import explain
from opsin.explanation.job import Job
from opsin.explanation.perturbation import lime
from opsin.explanation.targets import Targets

CLOSE = 1e-4
SAMPLES, NOISE, SIZE = 4, 0.2, 32
NETWORKS = {"resnet_small": 1, "torchvision/squeezenet1_1": 3, "vit_small": 3}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    channels = NETWORKS[request.param]
    model = opsin.build_model(request.param, classes=10, channels=channels, size=SIZE, seed=0)
    # a gradient jumps at the kink of a ReLU: in double precision the rounding of another batch size tips no unit over
    model.module.eval().double()
    coarse = torch.randn(1, channels, 7, 7, generator=torch.Generator().manual_seed(1)).double()
    return model, torch.nn.functional.interpolate(coarse, size=SIZE, mode="bicubic", align_corners=False) * 1.5


@pytest.fixture
def same_noise(monkeypatch):
    """NoiseTunnel draws with torch.normal; here it gets the draws that Opsin makes, which differ by sample."""

    def normal(mean, deviations):
        draws = torch.Generator().manual_seed(0)
        drawn = torch.stack([torch.randn(deviations.shape[1:], generator=draws) for _ in range(len(deviations))])
        return mean + deviations * drawn

    monkeypatch.setattr(torch, "normal", normal)


PEERS = {
    "saliency": (captum.attr.Saliency, {"abs": True}, {}),
    "input_x_gradient": (captum.attr.InputXGradient, {}, {}),
    "integrated_gradients": (
        captum.attr.IntegratedGradients, {"n_steps": 4, "method": "gausslegendre"}, {"steps": 4, "baseline": 0.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("of", PEERS)
def test_smooth_grad_equals_noise_tunnel(case, same_noise, of):
    model, image = case
    if of == "saliency":
        # the largest magnitude over channels does not commute with the mean over copies: compared in grey
        model, image = _grey(model), image[:, :1]
    peer, theirs_only, ours_only = PEERS[of]
    ours = explain(
        model, image, "smooth_grad", target=3, of=of, samples=SAMPLES, noise=NOISE, engine="eager", **ours_only
    )
    assert isinstance(ours, opsin.Explanation)
    deviation = float((image.float().max() - image.float().min()) * NOISE)
    theirs = captum.attr.NoiseTunnel(peer(model.module)).attribute(
        image.clone().requires_grad_(), nt_type="smoothgrad", nt_samples=SAMPLES, stdevs=deviation, target=3,
        **theirs_only,
    )  # fmt: skip
    theirs = theirs.sum(dim=1).detach().numpy()
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours.maps / scale, theirs / scale, atol=CLOSE)
    plain = explain(model, image, of, target=3, **ours_only)
    assert isinstance(plain, opsin.Explanation)
    assert np.abs(plain.maps - theirs).max() > 100 * CLOSE * scale  # the planted fault: without the noise


def test_lime_equals_captum_on_the_same_samples(case):
    model, image = case
    settings = {"samples": 60, "segments": 12, "ridge": 0.5, "kernel_width": 0.3}
    ours = explain(model, image, "lime", target=3, baseline=0.0, output="logits", engine="eager", **settings)
    assert isinstance(ours, opsin.Explanation)
    labels = lime.superpixels(image[0], settings["segments"], lime._display(_job(model, image)))
    drawn = lime._coalitions(_job(model, image), settings["samples"], int(labels.max()) + 1).float()
    rows = iter(drawn)

    def weight(_original, _perturbed, shown, **_):
        distance = 1 - torch.nn.functional.cosine_similarity(shown, torch.ones_like(shown), dim=1)
        return torch.exp(-(distance**2) / settings["kernel_width"] ** 2)

    peer = captum.attr.LimeBase(
        model.module,
        SkLearnRidge(alpha=settings["ridge"]),
        similarity_func=weight,
        perturb_func=lambda _original, **_: next(rows)[None],
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda shown, original, **_: original * shown[0, labels][None, None],
        to_interp_rep_transform=None,
    )
    theirs = peer.attribute(image, target=3, n_samples=settings["samples"])[0][labels].numpy()
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours.maps[0] / scale, theirs / scale, atol=CLOSE)


def _grey(model) -> opsin.Classifier:
    """The network for one channel, which it gets in every one of its own."""
    if model.channels == 1:
        return model

    class Grey(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model.module

        def forward(self, x):
            return self.inner(x.expand(-1, model.channels, -1, -1))

    return opsin.Classifier(Grey().eval(), classes=model.classes)


def _job(model, image) -> Job:
    return Job(model, image, lambda _: Targets(torch.tensor([[3]])), [])
