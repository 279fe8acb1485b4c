"""Networks that fail: shown up to there, with the shapes explained."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from opsin.explanation.tracing.graph import trace_graph


class Tutorial(nn.Module):
    """A tutorial's CNN for 28 x 28 pixels; the way from the maps to the answer is the test's."""

    def __init__(self, end) -> None:
        super().__init__()
        self.conv1, self.conv2, self.pool = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3), nn.MaxPool2d(2)
        self.fc1, self.fc2, self.fit = nn.Linear(10816, 128), nn.Linear(128, 10), nn.Linear(1600, 10)
        self.norm, self.grey, self.layer_norm = nn.BatchNorm2d(32), nn.Conv2d(1, 4, 3), nn.LayerNorm(6)
        self.end = end

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.pool(F.relu(self.conv1(x)))
        return self.end(self, self.pool(F.relu(self.conv2(first))), first)


CASES = {
    "flatten": (lambda net, x, _: net.fc2(net.fc1(torch.flatten(x, 1))), "fc1",
                "flatten gives 1600, fc1 expects 10816: give fc1 in_features=1600"),
    "no flatten": (lambda net, x, _: net.fit(x), "fit",
                   "pool_1 gives 64 x 5 x 5, fit expects 1600: flatten it before fit"),
    "neither": (lambda net, x, _: net.fc1(x), "fc1",
                "pool_1 gives 64 x 5 x 5, fc1 expects 10816 numbers in the last axis: flatten it and give fc1 "
                "in_features=1600"),
    "view": (lambda net, x, _: net.fc1(x.view(-1, 10816)), "reshape",
             "pool_1 gives 64 x 5 x 5, that is 1600 numbers, reshape expects a multiple of 10816: make it 1600"),
    "rows": (lambda _net, x, _: x.view(-1, 320), "reshape",
             "pool_1 gives 64 x 5 x 5, that is 1600 numbers of one image, reshape makes 5 rows of 320 of them, as if "
             "they were 5 images: make it 1600"),
    "channels": (lambda net, x, _: net.grey(x), "grey",
                 "pool_1 gives 64 x 5 x 5, that is 64 channels, grey expects 1"),
    "too small": (lambda net, x, _: net.conv2(net.pool(net.pool(x))[:, :32]), "conv2_1",
                  "slice gives 32 x 1 x 1, too small for conv2_1, whose kernel reaches over 3 pixels"),
    "pooled away": (lambda net, x, _: net.pool(net.pool(net.pool(x))), "pool_4",
                    "pool_3 gives 64 x 1 x 1, too small for the 2 x 2 pixels of pool_4"),
    "batch_norm": (lambda net, x, _: net.norm(x), "norm",
                   "pool_1 gives 64 x 5 x 5, that is 64 channels, norm expects 32"),
    "layer_norm": (lambda net, x, _: net.layer_norm(x), "layer_norm",
                   "pool_1 gives 64 x 5 x 5, layer_norm expects 6 in the last axes"),
    "add": (lambda _, x, first: x + first, "add",
            "pool_1 gives 64 x 5 x 5 and pool 32 x 13 x 13, add expects equal shapes"),
    "cat": (lambda _, x, first: torch.cat([x, first], 1), "cat",
            "pool_1 gives 64 x 5 x 5, pool gives 32 x 13 x 13; cat expects shapes that differ in axis 1 only (the "
            "image is axis 0)"),
    "matmul": (lambda net, x, _: x.flatten(1) @ net.fc1.weight, "matmul",
               "flatten gives 1600 and fc1.weight 128 x 10816, matmul expects as many columns of the first as rows of "
               "the second"),
    "python": (lambda net, x, _: net.nothing(x), "forward",
               "forward fails: AttributeError: 'Tutorial' object has no attribute 'nothing'"),
    "no scores": (lambda _net, x, _: {"a": x}, "output", "the network answers with no row of scores; pool_1 ran last"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_failure_names_what_each_side_gives_and_expects(case):
    end, node, message = CASES[case]
    graph = trace_graph(Tutorial(end).eval(), torch.randn(1, 1, 28, 28)).graph
    assert graph.failed is not None
    assert (graph.failed.node, graph.failed.message) == (node, message)
    assert [node.name for node in graph.nodes][:7] == ["input", "conv1", "relu", "pool", "conv2", "relu_1", "pool_1"]
    assert graph.output == ""
    assert not graph.exported


def test_an_operation_without_an_explanation_is_in_pytorchs_words(of):
    graph = trace_graph(of(lambda x: x.relu().transpose(1, 7)), torch.randn(1, 3, 4, 4)).graph
    assert graph.failed is not None
    assert graph.failed.message.startswith("relu gives 3 x 4 x 4; transpose fails: Dimension out of range")


def test_values_up_to_the_failure_can_be_had():
    module, inputs = Tutorial(CASES["flatten"][0]).eval(), torch.randn(1, 1, 28, 28)
    values = trace_graph(module, inputs).run(inputs)
    with torch.no_grad():
        assert torch.equal(values["conv1"], module.conv1(inputs))
    assert values["flatten"].shape == (1, 1600)


def test_a_failure_inside_a_block_names_the_block():
    block = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(5, 4, 3))
    graph = trace_graph(nn.Sequential(block, nn.ReLU()), torch.randn(1, 1, 8, 8)).graph
    assert graph.failed is not None
    assert (graph.failed.node, graph.failed.module) == ("0.1", "0.1")
    assert graph.failed.message == "0.0 gives 4 x 6 x 6, that is 4 channels, 0.1 expects 5"


def test_a_network_that_works_has_no_failure():
    assert (
        trace_graph(Tutorial(lambda net, x, _: net.fit(x.flatten(1))), torch.randn(1, 1, 28, 28)).graph.failed is None
    )
