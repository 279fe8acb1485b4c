"""Looking inside: outputs, bounds, layers, and nothing left behind."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from opsin.errors import OpsinError
from opsin.models.classifier import evaluating
from opsin.training.recorder.watch import (
    Bounds,
    choose_layers,
    outputs_of,
    visible_layers,
)


class Mixed(nn.Module):
    """ReLU as a module in place, as a function, as a method, and ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.b = nn.Conv2d(4, 4, 3)
        self.c = nn.Conv2d(4, 4, 3)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = self.relu(self.a(x))
        x = F.relu6(self.b(x))
        x = self.c(x).relu_()
        return self.fc(self.drop(x.mean((2, 3))))


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return Mixed()


def test_outputs_are_those_before_an_in_place_operation(net):
    x = torch.randn(2, 1, 10, 10)
    with evaluating(net), torch.no_grad(), outputs_of(net, ["a", "fc"]) as outputs:
        logits = net(x)
    with torch.no_grad():
        torch.testing.assert_close(outputs["a"], net.a(x), rtol=0, atol=0)
    assert (outputs["a"] < 0).any()  # the in-place ReLU behind it did not touch what was recorded
    torch.testing.assert_close(outputs["fc"], logits, rtol=0, atol=0)
    assert hooks(net) == 0


def test_nothing_is_left_behind_after_an_exception(net):
    net.train()
    with pytest.raises(RuntimeError), evaluating(net), outputs_of(net, ["a"]), Bounds(net):
        net(torch.randn(2, 7, 10, 10))
    assert hooks(net) == 0
    assert net.training
    assert net.drop.training


def test_the_mode_of_every_part_is_restored(net):
    net.train()
    net.drop.eval()
    with evaluating(net):
        assert not net.training
    assert net.training
    assert not net.drop.training


def test_dead_channels_are_found_however_the_relu_is_called(net):
    with torch.no_grad():
        for layer, channel in ((net.a, 1), (net.b, 2), (net.c, 3)):
            layer.weight[channel] = 0
            layer.bias[channel] = -1
        net.b.weight[0] = 0
        net.b.bias[0] = 9  # held at ReLU6's upper bound
    with evaluating(net), torch.no_grad(), Bounds(net) as bounds:
        net(torch.randn(3, 1, 10, 10))
    assert (~bounds.alive["a"]).nonzero().flatten().tolist() == [1]
    assert (~bounds.alive["b"]).nonzero().flatten().tolist() == [2]
    assert 3 in (~bounds.alive["c"]).nonzero().flatten().tolist()
    assert bounds.saturated["b"].nonzero().flatten().tolist() == [0]


def test_a_reused_activation_counts_for_each_layer_before_it():
    relu = nn.ReLU()
    net = nn.Sequential(nn.Linear(3, 4), relu, nn.Linear(4, 5), relu)
    with torch.no_grad(), Bounds(net) as bounds:
        net(torch.randn(6, 3))
    assert {name: len(mask) for name, mask in bounds.alive.items()} == {"0": 4, "2": 5}


def test_visible_layers_run_in_order_and_can_be_chosen(net):
    layers = visible_layers(net, torch.randn(2, 1, 10, 10))
    assert [(layer.name, layer.shape) for layer in layers] == [
        ("a", (4, 8, 8)), ("relu", (4, 8, 8)), ("b", (4, 6, 6)), ("c", (4, 4, 4)), ("fc", (3,)),
    ]  # fmt: skip
    assert choose_layers(layers, None) == layers
    assert [layer.name for layer in choose_layers(layers, ["fc", "b"])] == ["fc", "b"]
    with pytest.raises(OpsinError, match="layer 'nope' cannot be recorded"):
        choose_layers(layers, ["nope"])


def test_of_a_deep_network_the_ends_are_always_kept():
    parts = [part for _ in range(20) for part in (nn.Conv2d(2, 2, 1), nn.ReLU())]
    net = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    chosen = choose_layers(visible_layers(net, torch.randn(1, 2, 4, 4)), None)
    names = [layer.name for layer in chosen]
    assert len(names) <= 12
    assert names[0] == "0"
    assert names[-1] == "42"
    assert names == sorted(names, key=int)
