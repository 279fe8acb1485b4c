"""Measures against the best-known libraries: captum's infidelity and max-sensitivity, pytorch-grad-cam's imputation."""

from __future__ import annotations

import captum.metrics
import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from torch.nn import functional as F

import opsin
from opsin.evidence import road, stability
from opsin.evidence.stability import infidelity, max_sensitivity, random_squares
from opsin.evidence.subject import explain_again, subject_of


@pytest.fixture(scope="module")
def model():
    return opsin.build_model("seed_cnn", classes=("a", "b", "c"), channels=1, size=28, seed=0)


@pytest.fixture(scope="module")
def why(model):
    coarse = torch.randn(3, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    return opsin.explain(model, F.interpolate(coarse, 28, mode="bicubic"), "integrated_gradients", steps=4)


def test_infidelity_is_captums_with_its_optimal_scale(model, why):
    subject = subject_of(why, model, "logit")
    ours = infidelity(subject, torch.from_numpy(why.maps)[None], torch.Generator().manual_seed(5))[0]
    squares = random_squares(3, (28, 28), torch.Generator().manual_seed(5))

    def perturb(inputs):
        mask = squares.reshape(-1, 1, 28, 28)
        return mask.float(), inputs.masked_fill(mask, 0)

    theirs = captum.metrics.infidelity(
        model.module, perturb, subject.inputs, torch.from_numpy(why.maps)[:, None],
        target=torch.from_numpy(why.targets), n_perturb_samples=stability.SQUARES, normalize=True,
    )  # fmt: skip
    np.testing.assert_allclose(ours, theirs.detach().double(), rtol=1e-3, atol=1e-9)


def test_max_sensitivity_is_captums(model, why, monkeypatch):
    monkeypatch.setattr(stability, "NEIGHBOURS", 3)
    subject = subject_of(why, model, "logit")

    def again(moved):
        return explain_again(why, model, moved, slice(None), why.method)

    maps = torch.from_numpy(why.maps)
    ours = max_sensitivity(subject, maps, again, torch.Generator().manual_seed(5))[0]
    seen = []

    def remember(moved):
        seen.append(moved)
        return again(moved)

    max_sensitivity(subject, maps, remember, torch.Generator().manual_seed(5))

    def attribute(inputs):  # as captum's own methods: a tuple comes back where one was given
        batch = inputs[0] if isinstance(inputs, tuple) else inputs
        return (torch.from_numpy(again(batch))[:, None],)

    theirs = [
        captum.metrics.sensitivity_max(
            attribute, subject.inputs, lambda _inputs, _radius, moved=moved: moved, n_perturb_samples=1
        )
        for moved in seen
    ]
    np.testing.assert_allclose(ours, torch.stack(theirs).max(dim=0).values, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context")
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_the_imputation_is_that_of_pytorch_grad_cam(share):
    """Without its noise; theirs solves each image by a sparse direct solver."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(3, 24, 20, generator=generator)
    height = F.interpolate(torch.rand(1, 1, 4, 4, generator=generator), (24, 20), mode="bicubic")[0, 0]
    known = height > height.flatten().quantile(share)
    theirs = NoisyLinearImputer(noise=0)(image, known.float())
    ours = road.impute(image[None], known[None, None])[0]
    assert float((ours - theirs).abs().max()) < 0.002
