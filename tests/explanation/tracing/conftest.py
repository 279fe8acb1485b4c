"""Shared by the tests of tracing: opening random numbers of a network."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from opsin.explanation.tracing.graph import Traced, trace_graph
from opsin.explanation.tracing.trace import open_unit
from opsin.records import Trace


class Of(nn.Module):
    """A function as a network."""

    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


@pytest.fixture
def of() -> type[Of]:
    return Of


Opened = Iterator[tuple[Traced, dict[str, Tensor], Trace]]


def opened(module: nn.Module, inputs: Tensor, *, per_node: int = 2, seed: int = 0) -> Opened:
    """Random numbers of every node of a network, opened."""
    traced = trace_graph(module, inputs)
    values = traced.run(inputs)
    draw = random.Random(seed)
    for node in traced.graph.nodes:
        for _ in range(per_node if node.opens else 0):
            unit = tuple(draw.randrange(side) for side in node.shape)
            yield traced, values, open_unit(traced, values, node.name, unit)


@pytest.fixture
def open_all() -> Callable[..., Opened]:
    return opened


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    torch.manual_seed(0)
