from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from opsin.errors import OpsinError
from opsin.models.build import build_model
from opsin.models.sources import fetch
from opsin.models.sources.torchvision_networks import adapt_weights


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty download cache, and no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(fetch, "why_unreachable", lambda *_: "no network")
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("channels", [1, 3])
def test_video_networks_take_clips(channels: int):
    model = build_model("torchvision/r3d_18", 4, channels, 32)
    assert model.preprocess is None
    assert model.logits(torch.zeros(1, channels, 4, 32, 32)).shape == (1, 4)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_outputs_are_left_out(name: str, train_step):
    model = build_model(f"torchvision/{name}", 3, 1, 96)
    train_step(model.module, torch.randn(2, 1, 96, 96), 3)


def test_a_vision_transformer_is_built_for_the_size():
    model = build_model("torchvision/vit_b_32", 3, 3, 64)
    assert model.module.encoder.pos_embedding.shape[1] == 5


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_the_first_convolution_is_redrawn_with_the_same_spread(channels: int):
    torch.manual_seed(0)
    model = build_model("torchvision/resnet18", 3, channels, 32)
    first = model.module.conv1
    assert first.weight.shape == (64, channels, 7, 7)
    assert (first.stride, first.padding, first.bias) == ((2, 2), (3, 3), None)
    original = torchvision.models.resnet18(weights=None).conv1.weight
    assert float(first.weight.detach().std() / original.detach().std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_adapted_weights_give_grey_pictures_the_same_answer(channels: int, dimensions: int):
    weight = torch.randn(5, 1, *[3] * dimensions).expand(-1, 3, *[-1] * dimensions).contiguous()
    grey = torch.randn(2, 1, *[6] * dimensions)
    convolve = nn.functional.conv2d if dimensions == 2 else nn.functional.conv3d
    expected = convolve(grey.expand(-1, 3, *[-1] * dimensions), weight)
    shape = (-1, channels, *[-1] * dimensions)
    torch.testing.assert_close(
        convolve(grey.expand(shape), adapt_weights(weight, channels)), expected, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["resnet18", "r3d_18"])
def test_pretrained_without_a_network_stops_at_once(cache: Path, name: str):
    with pytest.raises(OpsinError, match=rf"torchvision/{name} could not be fetched \(no network\)") as caught:
        build_model(f"torchvision/{name}", 3, pretrained=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "head"), [("shufflenet_v2_x0_5", "fc"), ("squeezenet1_1", "classifier.1")])
def test_cached_weights_keep_their_trunk_under_a_new_head(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: str
):
    torch.manual_seed(0)
    stored = torchvision.models.get_model(name, weights=None)
    weights = torchvision.models.get_model_weights(name)["DEFAULT"]
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *_, **__: stored.state_dict())
    (cache / weights.url.rsplit("/", 1)[1]).touch()
    full = build_model(f"torchvision/{name}", pretrained=True)
    assert len(set(full.classes)) == 1000
    assert full.preprocess.mean == pytest.approx((0.485, 0.456, 0.406))
    assert full.preprocess.crop == pytest.approx(224 / 256)
    own = build_model(f"torchvision/{name}", ["a", "b", "c"], 1, 64, pretrained=True)
    assert own.logits(torch.zeros(2, 1, 64, 64)).shape == (2, 3)
    fresh = own.module.get_submodule(head)
    assert fresh.weight.shape[0] == 3
    first_of = lambda module: next(part for part in module.modules() if isinstance(part, nn.Conv2d))  # noqa: E731
    torch.testing.assert_close(first_of(own.module).weight, first_of(stored).weight.sum(1, keepdim=True))


def test_a_network_without_weights_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda *_: ())
    with pytest.raises(OpsinError, match="has no pretrained weights"):
        build_model("torchvision/resnet18", 3, pretrained=True)
