"""Networks as graphs: names, modules, in-place operations, and what is recorded where torch.export cannot follow."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.tracing.graph import trace_graph
from opsin.explanation.tracing.trace import open_unit


def names(module, inputs):
    return [node.name for node in trace_graph(module, inputs).graph.nodes]


class Mixed(nn.Module):
    """One module that is called twice, functional code, and a block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.pool, self.relu, self.fc = nn.MaxPool2d(2), nn.ReLU(inplace=True), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x) + x))
        return self.fc(torch.flatten(x, 1))


def test_nodes_are_named_after_the_modules_that_made_them():
    assert names(Mixed(), torch.randn(1, 1, 8, 8)) == [
        "input", "conv1", "relu_1", "pool", "conv2", "add", "relu", "pool_1", "flatten", "fc",
    ]  # fmt: skip


def test_a_node_knows_its_module_inputs_settings_and_weights():
    graph = trace_graph(Mixed(), torch.randn(1, 1, 8, 8)).graph
    conv = graph.node("conv1")
    assert (conv.module, conv.operation, conv.inputs, conv.shape) == ("conv1", "conv2d", ("input",), (4, 8, 8))
    assert conv.settings == {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
    assert conv.weights == {"weight": "conv1.weight", "bias": "conv1.bias"}
    assert graph.node("add").inputs == ("conv2", "pool")
    assert graph.node("relu").module == "relu"
    assert graph.node("relu_1").module == ""
    assert (graph.nodes[0].operation, graph.nodes[0].shape) == ("input", (1, 8, 8))
    assert graph.output == "fc"
    order = {node.name: at for at, node in enumerate(graph.nodes)}
    assert all(order[source] < order[node.name] for node in graph.nodes for source in node.inputs)


def test_a_value_that_is_overwritten_is_kept_as_it_was():
    """torchvision's ResNet overwrites the outputs of its normalisations and sums."""
    module = torchvision.models.resnet18(weights=None).eval()
    inputs = torch.randn(1, 3, 40, 40)
    traced = trace_graph(module, inputs)
    values = traced.run(inputs)
    kept = {}
    handles = [
        module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: kept.__setitem__(name, output.clone())
        )
        for name in ("bn1", "layer1.0.bn2")
    ]
    with torch.no_grad():
        module(inputs)
    for handle in handles:
        handle.remove()
    for name, value in kept.items():
        assert bool((value < 0).any())
        assert torch.equal(values[name], value)


class Chooses(nn.Module):
    """Takes its way by the image, which torch.export cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dark, self.light = nn.Conv2d(1, 4, 3), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu_(self.conv(x)).mean((2, 3))
        return self.light(x) if x.sum().item() > 0.4 else self.dark(x)


def test_what_cannot_be_exported_is_recorded_and_says_so(open_all, capsys):
    module = Chooses().eval()
    found = list(open_all(module, torch.zeros(1, 1, 8, 8)))
    traced, values, _ = found[0]
    assert not traced.graph.exported
    assert "torch.export cannot follow this network" in traced.graph.note
    assert "recorded for one image" in traced.graph.note
    assert [trace.agrees for _, _, trace in found] == [True] * len(found)
    assert [node.name for node in traced.graph.nodes][:4] == ["input", "conv", "relu", "mean"]
    assert bool((values["conv"] < 0).any())
    assert capsys.readouterr() == ("", "")


def test_a_recorded_graph_refuses_an_image_that_takes_another_way():
    module = Chooses().eval()
    with torch.no_grad():
        module.conv.bias.zero_()
    traced = trace_graph(module, torch.zeros(1, 1, 8, 8))
    assert traced.graph.output == "dark"
    with pytest.raises(OpsinError, match="another way for this image"):
        traced.run(torch.full((1, 1, 8, 8), 50.0) * torch.randn(1, 1, 8, 8))
    # opsin.trace makes a graph for each image of such a network
    assert opsin.trace(module, 50 * torch.randn(1, 1, 8, 8), "light", 0).agrees


def test_code_that_leaves_pytorch_is_seen_from_outside(of):
    module = of(lambda x: torch.from_numpy(x.relu().numpy() * 2).mean((2, 3)))
    inputs = torch.randn(1, 3, 4, 4)
    traced = trace_graph(module, inputs)
    assert [node.operation for node in traced.graph.nodes] == ["input", "outside", "mean"]
    values = traced.run(inputs)
    assert "other code than PyTorch's" in open_unit(traced, values, "outside", (0, 0, 0)).note
    assert open_unit(traced, values, "mean", (1,)).agrees


def test_a_network_that_draws_random_numbers_is_recorded(of):
    module = of(lambda x: F.dropout(x, 0.5).mean((2, 3)))
    traced = trace_graph(module, torch.randn(1, 3, 9, 9))
    assert not traced.graph.exported
    assert "draws random numbers" in traced.graph.note
    values = traced.run(torch.randn(1, 3, 9, 9))
    assert "draws random numbers" in open_unit(traced, values, "dropout", (0, 0, 0)).note


def test_a_tensor_that_is_overwritten_through_a_view_is_right_in_both_ways(of, open_all):
    def forward(x):
        x = x.relu()
        x[:, 0] = 3.0
        x[:, 1].mul_(2)
        return (x + 1).mean((2, 3))

    for wrap in (of, lambda function: of(lambda x: function(x) if float(x[0, 0, 0, 0].item()) < 1e9 else x)):
        module, inputs = wrap(forward), torch.randn(1, 3, 4, 4)
        found = list(open_all(module, inputs))
        traced, values, _ = found[0]
        assert torch.equal(values[traced.graph.output], module(inputs))
        assert all(trace.agrees or not trace.opens for _, _, trace in found)
        assert sum(trace.opens for _, _, trace in found) >= 4


def test_attention_opens_into_scores_and_weights():
    module = torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=5).eval()
    inputs = torch.randn(1, 3, 32, 32)
    traced = trace_graph(module, inputs)
    values = traced.run(inputs)
    node = next(node for node in traced.graph.nodes if node.operation == "scaled_dot_product_attention")
    weights = values[f"{node.name}.weights"]
    assert weights.shape == (1, 2, 17, 17)
    assert torch.allclose(weights.sum(-1), torch.ones(1, 2, 17), atol=1e-6)
    assert node.inputs[0] == f"{node.name}.weights"
    assert traced.graph.node(f"{node.name}.weights").inputs == (f"{node.name}.scores",)
    assert len(traced.graph.node(f"{node.name}.scores").inputs) == 2
    assert open_unit(traced, values, f"{node.name}.scores", (1, 2, 3)).agrees


def test_constants_are_nodes_of_their_own():
    module = torchvision.models.SwinTransformer([4, 4], 8, [2], [2], [4, 4], num_classes=3).eval()
    inputs = torch.randn(1, 3, 40, 40)
    traced = trace_graph(module, inputs)
    constants = [node for node in traced.graph.nodes if node.operation == "constant"]
    assert constants
    assert all(not node.inputs and not node.opens for node in constants)
    trace = open_unit(traced, traced.run(inputs), constants[0].name, (0,) * len(constants[0].shape))
    assert trace.note == "it does not depend on the image"


def test_what_is_not_one_image_is_refused():
    module = Mixed()
    for shape in ((2, 1, 8, 8), (1, 8, 8)):
        with pytest.raises(OpsinError, match="expected one image as the network takes it"):
            trace_graph(module, torch.randn(shape))
    with pytest.raises(OpsinError, match=r"the graph is that of \(1, 1, 8, 8\)"):
        trace_graph(module, torch.randn(1, 1, 8, 8)).run(torch.randn(1, 1, 9, 9))
    with pytest.raises(OpsinError, match="no layer 'conv3'"):
        trace_graph(module, torch.randn(1, 1, 8, 8)).graph.node("conv3")
