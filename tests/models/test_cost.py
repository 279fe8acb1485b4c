from __future__ import annotations

import pytest
import torch
from torch import nn

from opsin.errors import OpsinError
from opsin.models.build import build_model
from opsin.models.cost import cost, latency
from opsin.models.zoo.seed_cnn import seed_cnn
from opsin.models.zoo.vit_small import vit_small


@pytest.mark.parametrize(
    ("name", "low", "high", "parameters"),
    [
        ("timm/resnet18", 1.81e9, 1.82e9, 11_689_512),
        ("torchvision/mobilenet_v3_large", 0.216e9, 0.218e9, 5_483_032),
        ("efficientnet_lite0", 0.38e9, 0.41e9, 4_652_008),
        ("timm/vit_tiny_patch16_224", 1.25e9, 1.27e9, 5_717_416),
    ],
)
def test_published_figures_are_met(name: str, low: float, high: float, parameters: int):
    model = build_model(name, 1000)
    found = cost(model.module, (3, 224, 224))
    assert low <= found.macs <= high
    assert found.parameters == parameters
    assert sum(layer.macs for layer in found.layers) == found.macs
    assert sum(layer.parameters for layer in found.layers) == found.parameters


def test_layers_cost_what_hand_arithmetic_says():
    layers = {layer.name: layer for layer in cost(seed_cnn(10, 1, (28, 28)), (1, 28, 28)).layers}
    assert list(layers) == ["conv1", "conv2", "fc1", "fc2"]
    assert layers["conv1"].macs == 9 * 32 * 26 * 26
    assert layers["conv2"].macs == 9 * 32 * 64 * 11 * 11
    assert layers["fc1"].macs == 1600 * 128
    assert layers["fc2"].output == (1, 10)
    assert layers["conv2"].parameters == 9 * 32 * 64 + 64


def test_grouped_and_strided_convolutions():
    module = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.ConvTranspose2d(8, 4, 2, stride=2))
    first, second = cost(module, (8, 10, 10)).layers
    assert first.macs == 9 * 8 * 5 * 5
    assert second.macs == 8 * 4 * 4 * 5 * 5


def test_attention_is_counted_whoever_does_it():
    ours = cost(vit_small(3, 1, (28, 28), width=96, depth=1, heads=3), (1, 28, 28))
    attention = {layer.name: layer.macs for layer in ours.layers}["blocks.0.attention"]
    assert attention == 2 * 50 * 50 * 96

    class Torchs(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(96, 3, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    assert cost(Torchs(), (50, 96)).macs == 50 * 96 * 96 * 4 + 2 * 50 * 50 * 96


def test_a_layer_that_runs_twice_costs_twice_and_weighs_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(5, 5)

        def forward(self, x):
            return self.fc(self.fc(x))

    found = cost(Twice(), (5,))
    assert (found.macs, found.parameters, found.layers[0].macs) == (50, 30, 50)


def test_nothing_is_left_behind():
    module = seed_cnn(3, 1, (28, 28)).train()
    fast = torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(OpsinError, match=r"SeedCNN cannot take an input of shape \(1, 1, 9, 9\)") as caught:
        cost(module, (1, 9, 9))
    assert "\n" not in str(caught.value)
    cost(module, (1, 28, 28))
    assert module.training
    assert torch.backends.mha.get_fastpath_enabled() is fast
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_latency_says_how_it_was_measured():
    module = seed_cnn(3, 1, (28, 28)).train()
    before = torch.get_num_threads()
    found = latency(module, (1, 28, 28), batch=2, repeats=5, warmup=1, threads=2)
    assert 0 < found.fastest <= found.median <= found.slowest
    assert (found.repeats, found.batch, found.threads, found.device) == (5, 2, 2, "cpu")
    assert torch.get_num_threads() == before
    assert module.training


def test_latency_counts_its_calls():
    calls = []
    module = nn.Flatten()
    module.register_forward_hook(lambda *_: calls.append(1))
    latency(module, (1, 2, 2), repeats=4, warmup=2)
    assert len(calls) == 6


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"batch": 0}, {"threads": -1}])
def test_latency_refuses_nothing_to_measure(wrong: dict):
    with pytest.raises(OpsinError, match="expected at least 1 of each"):
        latency(nn.Flatten(), (1, 2, 2), **wrong)
