"""Feature maps: equal to what the layers gave, whatever follows them, and nothing left behind."""

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.records import FeatureMaps


class InPlace(nn.Module):
    """Functions that change a layer's output in place, a reused module, a layer that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.spare = nn.Linear(2, 2)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu_(self.conv(x))
        x = self.again(self.again(x)).mul_(2)
        return self.head(x.mean(dim=(2, 3)))


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.norm(self.patch(x).permute(0, 2, 3, 1)).mean(dim=(1, 2)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return InPlace()


@pytest.fixture
def images():
    return torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_maps_are_what_the_layer_gave_although_the_next_function_changes_it_in_place(net, images):
    found = opsin.inside.feature_maps(net, images, ["conv", "again"], batch_size=2)
    with torch.no_grad():
        first = net.conv(images)
        last = net.again(net.again(first.relu()))
    assert np.allclose(found["conv"].maps, first, atol=1e-6)
    assert np.allclose(found["again"].maps, last, atol=1e-6)  # the last run of a reused module
    assert found["conv"].maps.dtype == np.float32
    assert found["conv"].low == pytest.approx(float(first.min()))
    assert found["conv"].high == pytest.approx(float(first.max()))


def test_a_copy_is_needed_for_that(net, images):
    """The planted fault: keeping the output itself shows what the ReLU made of it."""
    kept = []
    handle = net.conv.register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        net(images)
        assert not torch.allclose(kept[0], net.conv(images))
    handle.remove()


def test_nothing_stays_behind_also_after_an_error(net, images):
    net.train()
    net.again.eval()
    opsin.inside.feature_maps(net, images)
    with pytest.raises(opsin.OpsinError, match="layer spare did not run"):
        opsin.inside.feature_maps(net, images, ["conv", "spare"])
    with pytest.raises(opsin.OpsinError, match="cannot take an input"):
        opsin.inside.feature_maps(net, torch.randn(1, 2, 8, 8))
    assert net.training
    assert not net.again.training
    assert not any(part._forward_hooks for part in net.modules())
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())


def test_channels_last_maps_and_tokens_come_with_channels_first():
    module = ChannelsLast()
    images = torch.randn(2, 3, 32, 32)
    found = opsin.inside.feature_maps(module, images, "norm")["norm"]
    assert found.maps.shape == (2, 6, 8, 8)
    with torch.no_grad():
        assert np.allclose(found.maps, module.norm(module.patch(images).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
    vit = opsin.build_model("vit_small", classes=3, channels=1, size=28)
    tokens = opsin.inside.feature_maps(vit, torch.randn(2, 1, 28, 28), ["blocks.0.norm1"])["blocks.0.norm1"]
    assert tokens.maps.shape == (2, 96, 7, 7)


def test_dead_channels_are_those_with_one_value_and_are_counted_over_all_batches():
    conv = nn.Conv2d(1, 3, 3)
    with torch.no_grad():
        conv.weight[0].fill_(0)
        conv.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
        conv.weight[1].fill_(1.0)
        conv.weight[2].fill_(-1.0)
    module = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, 2))
    images = torch.cat([torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)])
    relu = opsin.inside.feature_maps(module, images, "1", batch_size=2)["1"]
    assert relu.dead.tolist() == [0, 2]
    assert relu.dead_share == pytest.approx(2 / 3)
    assert relu.zeros == pytest.approx(1 / 3)
    alive_in_the_second = torch.cat([images[:2], -images[2:]])
    assert opsin.inside.feature_maps(module, alive_in_the_second, "1", batch_size=2)["1"].dead.tolist() == [0]


def test_a_channel_whose_weights_decayed_to_nothing_is_dead():
    module = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten())
    with torch.no_grad():
        module[0].weight[1] *= 1e-9
    assert opsin.inside.feature_maps(module, torch.randn(2, 1, 8, 8), "0")["0"].dead.tolist() == [1]


def test_a_vector_of_one_image_is_dead_only_where_it_is_zero():
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        module[1].weight.fill_(1.0)
        module[1].bias.copy_(torch.tensor([1.0, -9.0, 1.0]))
    found = opsin.inside.feature_maps(module, torch.full((1, 1, 2, 2), 0.5))
    assert [(layer.name, layer.dead.tolist()) for layer in found.layers] == [("1", []), ("2", [1]), ("3", [])]


def test_few_channels_are_held_and_all_are_counted(net, images):
    whole = opsin.inside.feature_maps(net, images, "conv")["conv"]
    thin = opsin.inside.feature_maps(net, images, "conv", max_channels=2)["conv"]
    assert thin.channels.tolist() == [0, 3]
    assert np.array_equal(thin.maps, whole.maps[:, [0, 3]])
    assert (thin.low, thin.high, thin.zeros, thin.width) == (whole.low, whole.high, whole.zeros, 4)


def test_the_choice_of_layers_has_every_layer_of_a_small_network_and_twelve_of_a_large_one():
    small = opsin.build_model("seed_cnn", classes=10, channels=1, size=28)
    found = opsin.inside.feature_maps(small, torch.randn(1, 1, 28, 28))
    names = [layer.name for layer in found.layers]
    assert names == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "fc1", "relu3", "fc2"]
    large = opsin.build_model("efficientnet_lite0", classes=5)
    found = opsin.inside.feature_maps(large, torch.randn(1, 3, 64, 64), max_channels=4)
    assert len(found) == 12
    assert found.layers[0].name == "conv_stem"
    assert found.layers[-1].name == "classifier"
    vit = opsin.inside.feature_maps(
        opsin.build_model("vit_small", classes=3, channels=1, size=28), torch.randn(1, 1, 28, 28)
    )
    assert {layer.kind for layer in vit.layers if layer.spatial} == {"LayerNorm"}


def test_what_cannot_be_shown_is_refused(net, images):
    with pytest.raises(opsin.OpsinError, match="no layer 'convv'; the nearest names are conv"):
        opsin.inside.feature_maps(net, images, "convv")
    with pytest.raises(opsin.OpsinError, match="no layer was named"):
        opsin.inside.feature_maps(net, images, [])
    with pytest.raises(opsin.OpsinError, match="only the scores are known"):
        opsin.inside.feature_maps(lambda x: x, images)
    with pytest.raises(opsin.OpsinError, match="NaN"):
        opsin.inside.feature_maps(net, images * float("nan"))
    with pytest.raises(opsin.OpsinError, match="no images"):
        opsin.inside.feature_maps(net, [])
    with pytest.raises(opsin.OpsinError, match="max_channels=0"):
        opsin.inside.feature_maps(net, images, max_channels=0)


def test_more_than_memory_allows_is_refused_before_it_is_filled(net, images, monkeypatch):
    # the package's name is the function, so that the module is found by its full name only
    monkeypatch.setattr(sys.modules["opsin.explanation.inside.feature_maps"], "MOST_BYTES", 5 * 4 * 64 * 4 - 1)
    with pytest.raises(opsin.OpsinError, match="the maps of 5 images would take"):
        opsin.inside.feature_maps(net, images, "conv", batch_size=1)


def test_the_record_survives_a_file(net, images, tmp_path):
    found = opsin.inside.feature_maps(net, images)
    found.save(tmp_path / "maps.safetensors")
    again = FeatureMaps.load(tmp_path / "maps.safetensors")
    assert again.as_dict() == found.as_dict()
    assert np.array_equal(again["head"].maps, found["head"].maps)
    assert "conv" in again.text()
    with pytest.raises(KeyError, match="the layers are conv"):
        again["other"]
    opsin.inside.filters(nn.Conv2d(1, 2, 3)).save(tmp_path / "filters.safetensors")
    with pytest.raises(opsin.OpsinError, match="holds no FeatureMaps"):
        FeatureMaps.load(tmp_path / "filters.safetensors")
