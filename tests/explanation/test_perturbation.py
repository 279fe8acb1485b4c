"""Every perturbation method against a slow twin written from its paper, on networks whose answer is known."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.explain import explain
from opsin.explanation.perturbation.lime import fit, superpixels
from opsin.explanation.perturbation.rise import RandomMasks
from opsin.inference.engines import engine

SIZE = 16


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 7, 3, stride=2, padding=1)
        self.fc = nn.Linear(7, 4)

    def forward(self, x):
        x = F.relu(self.bn(self.conv1(x)))
        return self.fc(F.relu(self.conv2(x)).mean(dim=(-2, -1)))


@pytest.fixture(scope="module")
def model() -> opsin.Classifier:
    torch.manual_seed(0)
    module = Small().eval()
    with torch.no_grad():
        module.fc.weight.mul_(3)
    return opsin.Classifier(module, classes=("ant", "bee", "cat", "dog"))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    coarse = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=SIZE, mode="bicubic", align_corners=False) * 1.5


def left_half_counts(images: np.ndarray) -> np.ndarray:
    """A black box: class 0 is the sum over the left half, class 1 that over the right half."""
    left, right = images[..., : images.shape[-1] // 2], images[..., images.shape[-1] // 2 :]
    return np.stack([left.sum(axis=(1, 2, 3)), right.sum(axis=(1, 2, 3))], axis=1)


def occlusion_twin(score, image, window, stride, baseline) -> np.ndarray:
    """Each window one after the other; the last of a row or column moved back into the picture."""
    height, width = image.shape[-2:]

    def starts(length):
        found = list(range(0, length - window + 1, stride))
        return found if found[-1] == length - window else [*found, length - window]

    drops, count = np.zeros((height, width)), np.zeros((height, width))
    for top in starts(height):
        for left in starts(width):
            covered = image.clone()
            covered[:, top : top + window, left : left + window] = baseline
            drops[top : top + window, left : left + window] += score(image) - score(covered)
            count[top : top + window, left : left + window] += 1
    return drops / count


def scorer(model, target, probabilities=False):
    def score(image: torch.Tensor) -> float:
        logits = model.logits(image[None])[0].double()
        return float((logits.softmax(0) if probabilities else logits)[target])

    return score


@pytest.mark.filterwarnings("ignore::opsin.explanation.guards.SaturatedMapWarning")  # a window as large as the picture
@pytest.mark.parametrize(("window", "stride", "baseline"), [(4, 4, 0.0), (5, 3, 0.7), (16, 1, 0.0), (7, 7, -1.0)])
def test_occlusion_equals_its_twin(model, images, window, stride, baseline):
    found = explain(model, images, "occlusion", target=[1, 3], window=window, stride=stride, baseline=baseline)
    for image, target, ours in zip(images, [1, 3], found.maps, strict=True):
        expected = occlusion_twin(scorer(model, target), image, window, stride, baseline)
        np.testing.assert_allclose(ours, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_occlusion_of_a_sum_is_the_sum_in_each_window():
    image = torch.rand(1, 1, 8, 8)
    found = explain(left_half_counts, image, "occlusion", target=0, window=2, stride=2).maps[0]
    sums = F.avg_pool2d(image, 2)[0, 0] * 4
    sums[:, 2:] = 0
    np.testing.assert_allclose(found, sums.repeat_interleave(2, 0).repeat_interleave(2, 1), atol=1e-5)


def test_occlusion_takes_the_images_own_mean():
    flat = torch.full((1, 2, 8, 8), 3.0)
    with pytest.warns(UserWarning, match="blank"):
        assert not explain(left_half_counts, flat, "occlusion", window=4, baseline=None).maps.any()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"window": 17}, "the window 17 x 17 is larger than the input 16 x 16"),
        ({"window": 3, "stride": 4}, "so that places stay uncovered"),
        ({"window": 0}, "window was given as 0"),
        ({"stride": (1, 2, 3)}, r"stride was given as \(1, 2, 3\)"),
        ({"output": "odds"}, "expected logits or probabilities"),
        ({"engine": "onx"}, "there is no engine 'onx'"),
        ({"windows": 3}, "did you mean window"),
    ],
)
def test_settings_of_occlusion_that_cannot_be(model, images, options, reason):
    with pytest.raises(OpsinError, match=reason):
        explain(model, images, "occlusion", **options)


def rise_twin(score, image, source: RandomMasks, count: int, keep: float) -> tuple[np.ndarray, float]:
    """Equation 6 of the paper, mask by mask, and the standard error of each place's mean."""
    values = []
    for index in range(count):
        mask = source.masks(index, index + 1)[0]
        values.append(score(image * mask) * mask.double().numpy() / keep)
    values = np.stack(values)
    return values.mean(axis=0), float((values.std(axis=0, ddof=1) / math.sqrt(count)).mean())


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_rise_equals_its_twin(model, images, output):
    found = explain(model, images, "rise", target=[1, 3], masks=70, cells=4, keep=0.4, seed=5, output=output)
    source = RandomMasks(torch.Generator().manual_seed(5), 70, 4, 0.4, (SIZE, SIZE), torch.device("cpu"))
    for index, target in enumerate([1, 3]):
        score = scorer(model, target, output == "probabilities")
        expected, error = rise_twin(score, images[index], source, 70, 0.4)
        np.testing.assert_allclose(found.maps[index], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.error[index], error, rtol=1e-3)


def test_masks_are_the_papers():
    """Each is a cut of the bilinearly enlarged grid; over many of them a place is visible with probability `keep`."""
    source = RandomMasks(torch.Generator().manual_seed(0), 3000, 5, 0.3, (17, 23), torch.device("cpu"))
    first = source.masks(0, 4)
    steps = (4, 5)
    for index in range(4):
        grid = source._cells[index][None, None]
        large = F.interpolate(grid, size=(6 * steps[0], 6 * steps[1]), mode="bilinear", align_corners=False)[0, 0]
        top, left = (int(offset[index]) for offset in source._offsets)
        torch.testing.assert_close(first[index], large[top : top + 17, left : left + 23])
    every = torch.cat([source.masks(start, start + 500) for start in range(0, 3000, 500)])
    assert every.min() >= 0
    assert every.max() <= 1
    assert abs(float(every.mean()) - 0.3) < 0.01
    assert float((every.mean(dim=0) - 0.3).abs().max()) < 0.05
    for offset, step in zip(source._offsets, steps, strict=True):
        assert set(offset.tolist()) == set(range(step))


def test_rise_finds_the_half_that_counts_and_its_error_shrinks():
    image = torch.ones(1, 1, SIZE, SIZE)
    few, many = (explain(left_half_counts, image, "rise", target=0, masks=count, cells=4) for count in (100, 400))
    assert many.maps[0, :, :6].mean() > many.maps[0, :, 10:].mean() + 3 * many.error[0]
    assert 0.4 < many.error[0] / few.error[0] < 0.6
    others = [explain(left_half_counts, image, "rise", 0, masks=100, cells=4, seed=seed).maps for seed in range(20)]
    assert 0.8 < np.std(others, axis=0, ddof=1).mean() / few.error[0] < 1.25


@pytest.mark.parametrize("options", [{"masks": 1}, {"keep": 0}, {"keep": 1.0}, {"cells": 0}])
def test_settings_of_rise_that_cannot_be(model, images, options):
    with pytest.raises(OpsinError, match=f"{next(iter(options))}( was given as|=)"):
        explain(model, images, "rise", **options)


def test_lime_equals_its_twin(model, images):
    """Section 3.4 of the paper with scikit-learn's weighted ridge, sample by sample."""
    found = explain(model, images, "lime", target=[1, 3], samples=60, segments=9, ridge=0.5, seed=2)
    for index, target in enumerate([1, 3]):
        places = superpixels(images[index], 9, None)
        count = int(places.max()) + 1
        drawn = torch.rand(60, count, generator=torch.Generator().manual_seed(2)) < 0.5
        drawn[0] = True
        score, labels, weights = scorer(model, target, probabilities=True), [], []
        for row in drawn:
            changed = images[index].clone()
            for segment in range(count):
                if not row[segment]:
                    inside = places == segment
                    changed[:, inside] = images[index][:, inside].mean(dim=1, keepdim=True)
            labels.append(score(changed))
            z = row.double().numpy()
            cosine = 0.0 if not z.any() else z.sum() / (np.linalg.norm(z) * math.sqrt(count))
            weights.append(math.exp(-((1 - cosine) ** 2) / 0.25**2))
        ridge = Ridge(alpha=0.5).fit(drawn.numpy(), labels, sample_weight=weights)
        np.testing.assert_allclose(found.maps[index], ridge.coef_[places.numpy()], rtol=1e-3, atol=1e-6)
        assert found.error[index] > 0


def test_the_errors_of_lime_are_those_of_repeated_draws():
    generator = torch.Generator().manual_seed(0)
    truth, found, errors = torch.tensor([1.0, 0, -2, 0.5]).double(), [], []
    for _ in range(300):
        shown = (torch.rand(80, 4, generator=generator) < 0.5).double()
        scores = shown @ truth + 0.3 * torch.randn(80, generator=generator).double()
        coefficients, error = fit(shown, scores[:, None], 1e-6, 5.0)
        found.append(coefficients[:, 0])
        errors.append(error[:, 0])
    np.testing.assert_allclose(torch.stack(found).mean(dim=0), truth, atol=0.02)
    spread = torch.stack(found).std(dim=0)
    np.testing.assert_allclose(torch.stack(errors).mean(dim=0), spread, rtol=0.15)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_superpixels_are_numbered_without_gaps(channels):
    picture = torch.randn(channels, 20, 12, generator=torch.Generator().manual_seed(0))
    places = superpixels(picture, 12, None)
    assert places.shape == (20, 12)
    assert sorted(set(places.flatten().tolist())) == list(range(int(places.max()) + 1))
    assert 6 <= int(places.max()) + 1 <= 24


def test_superpixels_follow_the_picture():
    picture = torch.zeros(3, 24, 24)
    picture[:, :, 9:] = 1.0
    places = superpixels(picture, 16, None)
    assert not set(places[:, :8].flatten().tolist()) & set(places[:, 10:].flatten().tolist())
    assert int(superpixels(torch.zeros(3, 8, 8), 4, None).max()) >= 1


@pytest.mark.parametrize("options", [{"samples": 1}, {"segments": 1}, {"ridge": -1.0}, {"kernel_width": 0.0}])
def test_settings_of_lime_that_cannot_be(model, images, options):
    with pytest.raises(OpsinError, match=f"{next(iter(options))}="):
        explain(model, images, "lime", **options)


def test_all_targets_come_from_the_same_passes(model, images, monkeypatch):
    monkeypatch.setattr(engine, "PASS", 7)  # fewer than the images and variants of a pass
    asked = []

    def count(batch: np.ndarray) -> np.ndarray:
        asked.append(len(batch))
        return model.logits(torch.from_numpy(batch)).numpy()

    for method, options in (("occlusion", {"window": 8}), ("rise", {"masks": 20}), ("lime", {"samples": 20})):
        asked.clear()
        one = explain(count, images, method, target=1, **options)
        single = sum(asked)
        asked.clear()
        every = explain(count, images, method, target="all", **options)
        assert sum(asked) == single == one.evaluations * len(images)
        np.testing.assert_allclose(every[1].maps, one.maps, rtol=1e-5, atol=1e-7)
        assert max(asked) <= 7


def test_a_pair_explains_the_difference(model, images):
    options = {"window": 4, "stride": 4, "engine": "eager"}
    ant, dog = (explain(model, images, "occlusion", target=name, **options).maps for name in ("ant", "dog"))
    both = explain(model, images, "occlusion", target=("ant", "dog"), **options).maps
    np.testing.assert_allclose(both, ant - dog, atol=1e-5)


@pytest.mark.parametrize("method", ["occlusion", "rise", "lime", "score_cam"])
def test_the_engine_is_on_the_record_and_changes_nothing(model, images, method):
    options = {"rise": {"masks": 40}, "lime": {"samples": 40}}.get(method, {})
    eager, fused = (explain(model, images, method, engine=name, **options) for name in ("eager", "fused"))
    assert (eager.used["engine"], eager.used["engine_difference"]) == ("eager", 0.0)
    assert fused.used["engine"] == "fused"
    assert 0 < fused.used["engine_difference"] < 1e-5
    np.testing.assert_allclose(eager.maps, fused.maps, atol=1e-4 * np.abs(eager.maps).max())
    assert fused.evaluations == eager.evaluations + 1
    assert explain(model, images, method, **options).used["engine"] in ("eager", "fused")


def test_the_record_says_why_an_engine_was_not_used_and_survives_a_file(model, images, monkeypatch, tmp_path):
    monkeypatch.setitem(engine.ENGINES, "fused", lambda *_: lambda batch: torch.zeros(len(batch), 4))
    fresh = opsin.Classifier(copy.deepcopy(model.module), classes=model.classes)
    found = explain(fresh, images, "rise", masks=10, batch_size=1)
    assert found.used["engine"] == "eager"
    assert found.used["engine_refused"].startswith("fused: its scores differ from eager's by 1 of the largest")
    found.save(tmp_path / "map.safetensors")
    loaded = opsin.records.Explanation.load(tmp_path / "map.safetensors")
    assert loaded.options == found.options
    np.testing.assert_array_equal(loaded.error, found.error)
