"""Score-CAM, Ablation-CAM and SmoothGrad against slow twins written from their papers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.explain import explain
from opsin.explanation.perturbation import ablation_cam

SIZE = 16
pytestmark = pytest.mark.filterwarnings("ignore::opsin.explanation.guards.MapWarning")


class Staged(nn.Module):
    """`mode` says how what stands behind `stage` takes its output: alone, added to or joined with an earlier one, or
    shaped by the number of pictures."""

    def __init__(self, mode: str = "alone") -> None:
        super().__init__()
        self.mode = mode
        self.first, self.stage = nn.Conv2d(3, 6, 3, padding=1), nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(12 if mode == "joined" else 6, 4)

    def forward(self, x):
        first = torch.tanh(self.first(x))
        last = self.stage(first)
        if self.mode == "twice":
            last = self.stage(last)
        if self.mode == "added":
            last = F.relu_(last + first)
        if self.mode == "joined":
            last = torch.cat([last, first], dim=1)
        if self.mode == "shaped":
            last = last.reshape(len(x), 6, -1, 1)
        return self.fc(last.square().mean(dim=(-2, -1)))


MODES = ("alone", "added", "joined", "shaped", "twice")


def network(mode: str = "alone") -> opsin.Classifier:
    torch.manual_seed(3)
    module = Staged(mode).eval()
    with torch.no_grad():
        module.fc.weight.mul_(4)
        module.fc.bias.copy_(torch.tensor([0.4, -0.8, 0.1, -0.1]))
    return opsin.Classifier(module, classes=("ant", "bee", "cat", "dog"))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    coarse = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=SIZE, mode="bicubic", align_corners=False) * 1.5


def activations(model: opsin.Classifier, image: torch.Tensor, change=None) -> tuple[torch.Tensor, torch.Tensor]:
    """What the stage gave at its last run, and the logits, with the stage's last output changed by `change`."""
    seen = []
    runs = 2 if model.module.mode == "twice" else 1

    def hook(_module, _inputs, output):
        seen.append(output.clone())
        return change(output.clone()) if change and len(seen) == runs else output

    handle = model.module.stage.register_forward_hook(hook)
    logits = model.logits(image[None])[0]
    handle.remove()
    return seen[-1][0], logits


def resized(maps: torch.Tensor) -> np.ndarray:
    return F.interpolate(maps[None, None], size=(SIZE, SIZE), mode="bilinear", align_corners=False)[0, 0].numpy()


def score_cam_twin(model, image, target) -> np.ndarray:
    channels, _ = activations(model, image)
    scores = []
    for channel in channels:
        mask = torch.from_numpy(resized(channel))
        spread = mask.max() - mask.min()
        mask = (mask - mask.min()) / spread if spread > 0 else torch.zeros_like(mask)
        scores.append(
            model.logits((image * mask)[None])[0, target] - model.logits(torch.zeros_like(image)[None])[0, target]
        )
    weights = torch.stack(scores).softmax(0)
    return resized(sum(w * a for w, a in zip(weights, channels, strict=True)).clamp(min=0))


def ablation_cam_twin(model, image, target) -> np.ndarray:
    channels, logits = activations(model, image)
    total = torch.zeros(channels.shape[1:])
    for index, channel in enumerate(channels):

        def drop(output, index=index):
            output[:, index] = 0
            return output

        without = activations(model, image, drop)[1][target]
        total += (logits[target] - without) / logits[target].abs() * channel
    return resized(total.clamp(min=0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("method", "twin"), [("score_cam", score_cam_twin), ("ablation_cam", ablation_cam_twin)])
def test_they_equal_their_twins(images, mode, method, twin):
    model = network(mode)
    for target in range(4):
        found = explain(model, images, method, target=target, layer="stage").maps
        expected = np.stack([twin(model, image, target) for image in images])
        assert expected.any()
        # a weight may be the difference of nearly equal scores: its rounding is that of the scores, of size about 1
        rounding = 2**-22 * max(float(activations(model, image)[0].abs().sum(dim=0).max()) for image in images)
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max() + rounding)


def test_some_targets_of_the_twins_have_negative_scores(images):
    """Where the sign of the score would turn Ablation-CAM around."""
    logits = network().logits(images)
    assert logits.min() < 0 < logits.max()


@pytest.mark.parametrize("mode", MODES)
def test_ablation_runs_the_trunk_once_where_it_can(images, mode, monkeypatch):
    model, ran = network(mode), []
    handle = model.module.first.register_forward_pre_hook(lambda _, given: ran.append(len(given[0])))
    explain(model, images[:1], "ablation_cam", target=0, layer="stage")
    handle.remove()
    long = mode in ("joined", "shaped")
    assert ran[-1] == (6 if long else 1)


def test_a_short_way_that_is_wrong_is_not_taken(images, monkeypatch):
    """The planted fault: a network whose answer depends on how many pictures there are."""
    model = network()

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model.module

        def forward(self, x):
            return self.inner(x) * (2.0 if len(x) == 1 else 1.0)

    counting = opsin.Classifier(Counting())
    layer = explain.__globals__["find_layers"](counting, images, "inner.stage")[0]
    job = explain.__globals__["Job"](counting, images, None, [layer])
    output = job.split.outputs["inner.stage"].detach()
    run = ablation_cam._shorter_way(job, layer, output[:1])
    assert run.__name__ == "long"


def test_several_layers_and_a_flat_channel(images):
    model = network()
    with torch.no_grad():
        model.module.stage[0].weight[2] = 0
        model.module.stage[0].bias[2] = -1.0
    for method in ("score_cam", "ablation_cam"):
        first, last = explain(model, images, method, target=1, layer=["first", "stage"])
        assert (first.layer, last.layer) == ("first", "stage")
        assert np.isfinite(last.maps).all()
        assert last.maps.any()
        assert not np.allclose(first.maps, last.maps)
        np.testing.assert_allclose(explain(model, images, method, target=1, layer="stage").maps, last.maps, atol=1e-6)


@pytest.mark.parametrize("method", ["saliency", "grad_cam", "integrated_gradients"])
def test_smooth_grad_is_the_mean_over_noisy_copies(images, method):
    model = network()
    options = {"steps": 3} if method == "integrated_gradients" else {}
    found = explain(model, images, "smooth_grad", target=[1, 3], seed=7, of=method, samples=5, noise=0.2, **options)
    generator = torch.Generator().manual_seed(7)
    maps = []
    for _ in range(5):
        noise = torch.randn(images.shape[1:], generator=generator)
        spread = (images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3))).view(-1, 1, 1, 1)
        maps.append(explain(model, images + 0.2 * spread * noise, method, target=[1, 3], **options).maps)
    scale = np.abs(found.maps).max()
    np.testing.assert_allclose(found.maps / scale, np.mean(maps, axis=0) / scale, atol=1e-5)
    error = (np.std(maps, axis=0, ddof=1) / np.sqrt(5)).mean(axis=(1, 2))
    np.testing.assert_allclose(found.error, error, rtol=1e-3)
    assert found.options["of"] == method
    assert (found.layer != "") == (method == "grad_cam")
    assert found.options.get("steps") == options.get("steps")


def test_smooth_grad_explains_the_class_of_the_image_without_noise(images):
    model = network()
    found = explain(model, images, "smooth_grad", samples=3, noise=3.0)
    np.testing.assert_array_equal(found.targets, model.logits(images).argmax(dim=1))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"samples": 1}, "samples=1 and noise=0.15 were given"),
        ({"noise": 0.0}, "samples=16 and noise=0.0 were given"),
        ({"of": "smooth_grad"}, "wraps a method itself"),
        ({"of": "salience"}, "did you mean saliency"),
        ({"of": "saliency", "steps": 3}, "saliency has no setting 'steps'"),
        ({"layer": "stage"}, "smooth_grad looks at no layer"),
        ({"of": "grad_cam", "layer": "stages"}, "the nearest names are stage"),
    ],
)
def test_settings_of_smooth_grad_that_cannot_be(images, options, reason):
    with pytest.raises(OpsinError, match=reason):
        explain(network(), images, "smooth_grad", **options)
