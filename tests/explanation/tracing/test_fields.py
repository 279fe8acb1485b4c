"""Receptive fields by going back through the graph: the same as by poisoning pixels, and as `opsin.inside` finds."""

from __future__ import annotations

import random

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.explanation.inside.poison import plain_kernels
from opsin.explanation.tracing.graph import Traced, trace_graph
from opsin.explanation.tracing.trace import open_unit


def poisoned(traced: Traced, inputs: torch.Tensor) -> dict[tuple[int, int], dict[str, torch.Tensor]]:
    """The slow twin: where NaN arrives in every node, for every pixel that is NaN."""
    found = {}
    with plain_kernels():
        for y in range(inputs.shape[2]):
            for x in range(inputs.shape[3]):
                image = inputs.clone()
                image[:, :, y, x] = torch.nan
                found[y, x] = {name: value.isnan() for name, value in traced.run(image).items()}
    return found


def box_of(reached: dict[tuple[int, int], dict[str, torch.Tensor]], name: str, place: tuple[int, ...]):
    pixels = [pixel for pixel, arrived in reached.items() if bool(arrived[name][place])]
    if not pixels:
        return None
    rows, columns = zip(*pixels, strict=True)
    return min(rows), min(columns), max(rows) + 1, max(columns) + 1


NETWORKS = {
    "convolutions": nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=2, dilation=2), nn.ReLU(), nn.Conv2d(4, 4, (2, 1), groups=2),
        nn.AvgPool2d(2, stride=1),
    ),
    "pools": nn.Sequential(
        nn.MaxPool2d(3, stride=2, padding=1), nn.AdaptiveAvgPool2d((2, 3)),
        nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1),
    ),
    "norms": nn.Sequential(nn.Conv2d(2, 4, 2), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 2), nn.LayerNorm(4)),
    "upsampling": nn.Sequential(nn.Conv2d(2, 2, 3), nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, 2)),
    "rearranged": (
        lambda x: F.pad(x, (1, 0, 0, 2)).permute(0, 2, 3, 1).reshape(1, 8, -1)[:, 2:5].roll(1, 1).softmax(-1)
    ),
    "attention": lambda x: F.scaled_dot_product_attention(*x.flatten(2).transpose(1, 2).reshape(1, 3, 12, 2).unbind(1)),
    "multiplied": lambda x: x[:, :, ::2, 1:4] @ x[:, :, 1:4, :2],
    "joined": lambda x: torch.cat([x[:, :, :2], x[:, :, 2:].tanh()], 2) * x.mean(1, keepdim=True),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_field_is_what_poisoned_pixels_reach(name, of):
    found = NETWORKS[name]
    module = found if isinstance(found, nn.Module) else of(found)
    inputs = torch.rand(1, 2, 6, 6)
    traced = trace_graph(module.eval(), inputs)
    assert traced.graph.exported
    values, draw, reached = traced.run(inputs), random.Random(0), poisoned(traced, inputs)
    for node in traced.graph.nodes[1:]:
        for _ in range(4):
            unit = tuple(draw.randrange(side) for side in node.shape)
            place = (0,) * (values[node.name].ndim - len(unit)) + unit
            trace = open_unit(traced, values, node.name, unit)
            assert trace.receptive_field == box_of(reached, node.name, place), (node.name, unit)
            assert not trace.field_note


@pytest.mark.parametrize(
    "build",
    [
        lambda: opsin.build_model("resnet_small", classes=3, channels=3, size=32).module,
        lambda: timm.create_model("mobilenetv3_small_050"),
    ],
    ids=["resnet_small", "mobilenetv3"],
)
def test_fields_of_modules_are_those_that_inside_finds(build):
    module = build().eval()
    inputs = torch.randn(1, 3, 32, 32)
    traced = trace_graph(module, inputs)
    values, draw = traced.run(inputs), random.Random(0)
    nodes = [node for node in traced.graph.nodes if node.name == node.module and len(node.shape) == 3]
    for node in draw.sample([node for node in nodes if node.shape[-1] > 1], 2):
        unit = tuple(draw.randrange(side) for side in node.shape)
        expected = opsin.inside.receptive_field(module, node.module, unit, size=32)
        trace = open_unit(traced, values, node.name, unit)
        assert (trace.receptive_field, trace.local_field) == (expected.box, expected.local)


def test_fields_in_the_layers_between():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 1, 3, padding=1))
    inputs = torch.randn(1, 1, 12, 12)
    traced = trace_graph(module, inputs)
    trace = open_unit(traced, traced.run(inputs), "3", (0, 0, 2))
    assert trace.fields["2"] == ((0, 2), (0, 2), (1, 4))
    assert trace.fields["1"] == trace.fields["0"] == ((0, 2), (0, 4), (2, 8))
    assert trace.fields["input"] == ((0, 1), (0, 6), (2, 10))
    assert trace.receptive_field == (0, 2, 6, 10)


def test_a_number_that_sees_only_padding_sees_no_pixel():
    module = nn.Conv2d(1, 1, 1, padding=1)
    inputs = torch.randn(1, 1, 4, 4)
    traced = trace_graph(module, inputs)
    trace = open_unit(traced, traced.run(inputs), traced.graph.output, (0, 0, 0))
    assert trace.receptive_field is None
    assert trace.agrees


def test_branches_of_many_different_places_are_held_together_and_said(of):
    """Nine channels that each see a place of their own: the field is what holds them all."""

    def forward(x):
        return torch.cat([x[:, at : at + 1, at : at + 1, at : at + 1] for at in range(9)], 1).sum((2, 3), keepdim=True)

    inputs = torch.randn(1, 9, 9, 9)
    traced = trace_graph(of(lambda x: forward(x.relu()).sum(1)), inputs)
    trace = open_unit(traced, traced.run(inputs), traced.graph.output, (0, 0))
    assert trace.receptive_field == (0, 0, 9, 9)
    assert trace.field_note == "the field may be too large: branches take many different places of relu"
