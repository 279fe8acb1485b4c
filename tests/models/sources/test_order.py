from __future__ import annotations

import pytest
import torch
from torch import nn

from opsin.models.sources.order import learned_preprocess, refuse_in_place, seeded


@pytest.mark.parametrize(
    ("channels", "mode", "mean"),
    [(1, "L", (0.4,)), (2, "LA", (0.4, 0.5)), (3, "RGB", (0.3, 0.4, 0.5)), (4, "RGBA", (0.3, 0.4, 0.5, 0.5))],
)
def test_colour_statistics_are_carried_over(channels: int, mode: str, mean: tuple[float, ...]):
    made = learned_preprocess(
        channels, (8, 9), crop=0.9, interpolation="bicubic", mean=(0.3, 0.4, 0.5), std=(0.2, 0.2, 0.2)
    )
    assert made.mode == mode
    assert made.mean == pytest.approx(mean)
    assert (made.height, made.width, made.crop, made.interpolation) == (8, 9, 0.9, "bicubic")


def test_an_unknown_interpolation_becomes_bilinear():
    made = learned_preprocess(3, (8, 8), crop=1, interpolation="random", mean=(0.5,) * 3, std=(0.5,) * 3)
    assert made.interpolation == "bilinear"


def test_in_place_layers_stop_overwriting():
    module = refuse_in_place(nn.Sequential(nn.ReLU(inplace=True), nn.Sequential(nn.Dropout(0.5, inplace=True))))
    x = -torch.ones(2, 3)
    module(x)
    assert torch.equal(x, -torch.ones(2, 3))


def test_the_random_state_returns_also_after_an_error():
    torch.manual_seed(9)
    expected = torch.rand(2)
    torch.manual_seed(9)

    def fail() -> None:
        with seeded(1):
            torch.rand(5)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert torch.equal(torch.rand(2), expected)
